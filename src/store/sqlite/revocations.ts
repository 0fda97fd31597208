import type {
  CertificateStatus,
  RevocationReads,
  RevocationReason,
  RevocationRecord,
  StatusChange,
} from '../../ca/revocation/ports.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Connection } from './connection.ts';
import { holderSearch } from './holder-search.ts';

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
  // One statement for all of a page: to begin and end one for each takes several times what it reads.
  const findAll = db.prepare<[string], RevocationRow>(
    'SELECT r.* FROM json_each(?) j CROSS JOIN revocations r ON r.id = j.value',
  );
  const findHolders = holderSearch(db);
  const known = db.prepare<[Uint8Array, string], { readonly id: number; readonly signed: number }>(
    `SELECT c.id, s.id IS NOT NULL AS signed FROM certificates c LEFT JOIN signatures s ON s.id = c.id
     WHERE c.serial = +? AND c.authority = +?`,
  );
  const takenBack = db.prepare<
    [{ readonly endedBefore: number; readonly after: number; readonly limit: number }],
    RevocationRow & { key_hash: Uint8Array }
  >(
    `SELECT r.*, c.key_hash FROM revocations r CROSS JOIN certificates c ON c.id = r.id
     WHERE r.id > @after AND r.not_after >= @endedBefore ORDER BY r.id LIMIT @limit`,
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
      call(() => {
        const rows = new Map(findAll.all(JSON.stringify(ids)).map((row) => [row.id, row]));
        return ids.map((id) => {
          const row = rows.get(id);
          return row && toRevocation(row);
        });
      }),
    listTakenBack: ({ after = 0, ...search }) =>
      call(() =>
        takenBack.all({ ...search, after }).map((row) => ({ ...toRevocation(row), keyHash: row.key_hash })),
      ),
    findHolders: (serials, at) => call(() => findHolders(serials, at)),
    listStatusChanges: (after, limit) => call(() => changes.all(after, limit).map(toChange)),
    lastStatusChange: () => call(last),
    statusEpoch: () => call(epoch),
  };
}

/** The last sequence number of a change. */
export function lastChange(db: Connection['db']): () => number {
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
