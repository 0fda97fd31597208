import type { ApprovalReads, ApprovalRecord, ApprovalWrites } from '../../enroll/ports.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parseIdCursor, toPage } from './cursor.ts';

interface ApprovalRow extends Omit<ApprovalRecord, 'decidedAt' | 'decidedBy'> {
  readonly decidedAt: number | null;
  readonly decidedBy: string | null;
}

const COLUMNS = `id, namespace, serial_number AS serialNumber, key_hash AS keyHash, profile, vouched_by AS vouchedBy,
  state, requested_at AS requestedAt, decided_at AS decidedAt, decided_by AS decidedBy`;

export function approvalReads({ db, call }: Connection): ApprovalReads {
  const find = db.prepare<[string, string, Uint8Array, string], ApprovalRow>(
    `SELECT ${COLUMNS} FROM approvals
     WHERE namespace = ? AND serial_number = ? AND key_hash = ? AND profile = ?`,
  );
  const listAll = db.prepare<[number, number], ApprovalRow>(
    `SELECT ${COLUMNS} FROM approvals WHERE id < ? ORDER BY id DESC LIMIT ?`,
  );
  const listState = db.prepare<[ApprovalRecord['state'], number, number], ApprovalRow>(
    `SELECT ${COLUMNS} FROM approvals WHERE state = ? AND id < ? ORDER BY id DESC LIMIT ?`,
  );
  return {
    findApproval: ({ namespace, serialNumber, keyHash, profile }) =>
      call(() => {
        const row = find.get(namespace, serialNumber, keyHash, profile);
        return row && toApproval(row);
      }),
    listApprovals: ({ state, ...page }) =>
      call(() => {
        const below = parseIdCursor('approvals', page) ?? Number.MAX_SAFE_INTEGER;
        const more = page.limit + 1;
        const rows = state === undefined ? listAll.all(below, more) : listState.all(state, below, more);
        return toPage(rows, page.limit, toApproval, ({ id }) => encodeCursor('approvals', id));
      }),
  };
}

export function approvalWrites({ db, call }: Connection): Omit<ApprovalWrites, keyof ApprovalReads> {
  const add = db.prepare<unknown[]>(
    `INSERT INTO approvals (namespace, serial_number, key_hash, profile, vouched_by, state, requested_at)
     VALUES (?, ?, ?, ?, ?, 'waiting', ?)`,
  );
  const decide = db.prepare<[ApprovalRecord['state'], number, string, number], ApprovalRow>(
    `UPDATE approvals SET state = ?, decided_at = ?, decided_by = ? WHERE id = ? RETURNING ${COLUMNS}`,
  );
  return {
    addApproval: ({ namespace, serialNumber, keyHash, profile }, vouchedBy, at) =>
      call(() => {
        add.run(namespace, serialNumber, keyHash, profile, vouchedBy, at);
      }),
    decideApproval: (id, state, by, at) =>
      call(() => {
        const row = decide.get(state, at, by, id);
        return row && toApproval(row);
      }),
  };
}

function toApproval({ decidedAt, decidedBy, ...row }: ApprovalRow): ApprovalRecord {
  return {
    ...row,
    ...(decidedAt === null ? {} : { decidedAt }),
    ...(decidedBy === null ? {} : { decidedBy }),
  };
}
