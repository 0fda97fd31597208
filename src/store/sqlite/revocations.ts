import type {
  CertificateStatus,
  RevocationReads,
  RevocationReason,
  RevocationRecord,
  RevocationWrites,
  StatusChange,
} from '../../ca/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Connection } from './connection.ts';
import type { RecordAct } from './record/frame.ts';

interface RevocationRow {
  readonly id: number;
  readonly serial: Uint8Array;
  readonly authority: string;
  readonly shard: number;
  readonly not_after: number;
  readonly reason: RevocationReason | null;
  readonly held: number;
  readonly revoked_at: number;
  readonly invalidity_at: number | null;
  readonly discovered_at: number;
  readonly decided_at: number;
  readonly recorded_at: number;
  readonly published_at: number | null;
  readonly enforced_at: number | null;
  readonly revoked_by: string;
}

interface ChangeRow extends Omit<StatusChange, 'keyHash' | 'reason'> {
  readonly key_hash: Uint8Array;
  readonly reason: RevocationReason | null;
}

export function revocationReads({ db, call }: Connection): RevocationReads {
  const find = db.prepare<[number], RevocationRow>('SELECT * FROM revocations WHERE id = ?');
  const known = db.prepare<[Uint8Array, string], { readonly id: number; readonly signed: number }>(
    `SELECT c.id, s.id IS NOT NULL AS signed FROM certificates c LEFT JOIN signatures s ON s.id = c.id
     WHERE c.serial = ? AND c.authority = ?`,
  );
  const takenBack = db.prepare<
    [{ readonly endedBefore: number; readonly after: number; readonly limit: number }],
    RevocationRow & { key_hash: Uint8Array }
  >(
    `SELECT r.*, c.key_hash FROM revocations r CROSS JOIN certificates c ON c.id = r.id
     WHERE r.id > @after AND r.not_after >= @endedBefore ORDER BY r.id LIMIT @limit`,
  );
  const holder = db.prepare<
    [{ serial: Uint8Array; at: number }],
    { readonly namespace: string; readonly serial_number: string; readonly others: number }
  >(
    `SELECT d.namespace, d.serial_number, EXISTS (
       SELECT 1 FROM certificates o JOIN signatures s ON s.id = o.id LEFT JOIN revocations r ON r.id = o.id
       WHERE o.device_id = c.device_id AND o.authority = c.authority AND o.id <> c.id AND o.not_after >= @at AND r.id IS NULL
     ) AS others FROM certificates c JOIN devices d ON d.id = c.device_id WHERE c.serial = @serial`,
  );
  const changes = db.prepare<[number, number], ChangeRow>(
    'SELECT * FROM status_changes WHERE sequence > ? ORDER BY sequence LIMIT ?',
  );
  const last = lastChange(db);
  const findEpoch = db.prepare<[], string>('SELECT epoch FROM status_epoch').pluck();
  const epoch = () => {
    const found = findEpoch.get();
    if (found === undefined)
      throw new BirthmarkError('ledger-failed', 'the ledger has lost its status epoch');
    return found;
  };

  const statusOf = (authority: string, serial: Uint8Array): CertificateStatus => {
    const certificate = known.get(serial, authority);
    const row = certificate && find.get(certificate.id);
    // What was taken back before it was signed stays so, whoever signs it later.
    if (row) return { status: 'revoked', revocation: toRevocation(row) };
    return { status: certificate?.signed === 1 ? 'good' : 'unknown' };
  };
  return {
    findStatuses: (authority, serials) => call(() => serials.map((serial) => statusOf(authority, serial))),
    findRevocations: (ids) =>
      call(() =>
        ids.map((id) => {
          const row = find.get(id);
          return row && toRevocation(row);
        }),
      ),
    listTakenBack: ({ after = 0, ...search }) =>
      call(() =>
        takenBack.all({ ...search, after }).map((row) => ({ ...toRevocation(row), keyHash: row.key_hash })),
      ),
    findHolders: (serials, at) =>
      call(() =>
        serials.map((serial) => {
          const row = holder.get({ serial, at });
          return (
            row && { namespace: row.namespace, serialNumber: row.serial_number, others: row.others === 1 }
          );
        }),
      ),
    listStatusChanges: (after, limit) => call(() => changes.all(after, limit).map(toChange)),
    lastStatusChange: () => call(last),
    statusEpoch: () => call(epoch),
  };
}

export function revocationWrites({
  db,
  call,
  note: record,
}: Connection): Omit<RevocationWrites, keyof RevocationReads> {
  const put = db.prepare<unknown[]>(
    `INSERT OR REPLACE INTO revocations (id, serial, authority, shard, not_after, reason, held, revoked_at,
       invalidity_at, discovered_at, decided_at, recorded_at, published_at, enforced_at, revoked_by)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const serialOf = db.prepare<[number], Uint8Array>('SELECT serial FROM revocations WHERE id = ?').pluck();
  const release = db.prepare<[number]>('DELETE FROM revocations WHERE id = ? AND held = 1');
  const append = db.prepare<[string, string | null, number, number]>(
    `INSERT INTO status_changes (serial, authority, shard, key_hash, status, reason, at)
     SELECT serial, authority, shard, key_hash, ?, ?, ? FROM certificates WHERE id = ?`,
  );
  const note = db.prepare<[number, number]>(
    'UPDATE revocations SET published_at = ? WHERE id = ? AND published_at IS NULL',
  );
  const enforce = db.prepare<[number, number]>(
    'UPDATE revocations SET enforced_at = max(recorded_at, ?) WHERE id = ? AND enforced_at IS NULL',
  );
  const last = lastChange(db);
  return {
    putRevocations: (revocations) =>
      call(() => {
        for (const r of revocations) {
          const { reason = null, invalidityAt = null, publishedAt = null, enforcedAt = null } = r;
          const place = [r.id, r.serial, r.authority, r.shard, r.notAfter, reason, r.held ? 1 : 0];
          const times = [r.revokedAt, invalidityAt, r.discoveredAt, r.decidedAt, r.recordedAt];
          put.run(...place, ...times, publishedAt, enforcedAt, r.by);
          const change = append.run(r.held ? 'held' : 'revoked', reason, r.recordedAt, r.id);
          record(toAct(r, Number(change.lastInsertRowid)));
        }
        return last();
      }),
    releaseHolds: (ids, at) =>
      call(() => {
        for (const id of ids) {
          const serial = serialOf.get(id);
          if (serial === undefined || release.run(id).changes === 0)
            throw new BirthmarkError(
              'certificate-revoked',
              'a certificate that is not held cannot be released',
            );
          const { lastInsertRowid } = append.run('good', null, at, id);
          record({ act: 'release', sequence: Number(lastInsertRowid), serial: toHex(serial), at });
        }
        return last();
      }),
    notePublished: (ids, at) =>
      call(() => {
        for (const id of ids) note.run(at, id);
      }),
    noteEnforced: (enforced) =>
      call(() => enforced.filter(({ id, at }) => enforce.run(at, id).changes > 0).map(({ id }) => id)),
  };
}

function toAct(r: RevocationRecord, sequence: number): RecordAct {
  const { serial, reason, held, revokedAt, invalidityAt, discoveredAt, decidedAt, recordedAt, by } = r;
  const { publishedAt, enforcedAt } = r;
  return {
    act: 'revoke',
    sequence,
    serial: toHex(serial),
    ...(reason && { reason }),
    held,
    revokedAt,
    ...(invalidityAt !== undefined && { invalidityAt }),
    discoveredAt,
    decidedAt,
    recordedAt,
    ...(publishedAt !== undefined && { publishedAt }),
    ...(enforcedAt !== undefined && { enforcedAt }),
    by,
  };
}

function lastChange(db: Connection['db']): () => number {
  const last = db.prepare<[], number | null>('SELECT max(sequence) FROM status_changes').pluck();
  return () => last.get() ?? 0;
}

function toRevocation(row: RevocationRow): RevocationRecord {
  return {
    id: row.id,
    serial: row.serial,
    authority: row.authority,
    shard: row.shard,
    notAfter: row.not_after,
    ...(row.reason === null ? {} : { reason: row.reason }),
    held: row.held === 1,
    revokedAt: row.revoked_at,
    ...(row.invalidity_at === null ? {} : { invalidityAt: row.invalidity_at }),
    discoveredAt: row.discovered_at,
    decidedAt: row.decided_at,
    recordedAt: row.recorded_at,
    ...(row.published_at === null ? {} : { publishedAt: row.published_at }),
    ...(row.enforced_at === null ? {} : { enforcedAt: row.enforced_at }),
    by: row.revoked_by,
  };
}

function toChange({ key_hash: keyHash, reason, ...row }: ChangeRow): StatusChange {
  return { ...row, keyHash, ...(reason === null ? {} : { reason }) };
}
