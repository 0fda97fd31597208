import type { RevocationReads, RevocationRecord, RevocationWrites } from '../../ca/revocation/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Connection } from './connection.ts';
import type { RecordAct } from './record/frame.ts';
import { lastChange } from './revocations.ts';

/** Milliseconds since the epoch, and what else certificates that are taken back together have in common. */
type Common = readonly [
  reason: string | null,
  held: number,
  revokedAt: number,
  invalidityAt: number | null,
  discoveredAt: number,
  decidedAt: number,
  recordedAt: number,
  publishedAt: number | null,
  enforcedAt: number | null,
  by: string,
];

/** Changes are made of many rows at once: a statement for each takes several times what it writes. */
export function revocationWrites({
  db,
  call,
  note: record,
}: Connection): Omit<RevocationWrites, keyof RevocationReads> {
  const put = db.prepare<[...Common, ids: string]>(
    `INSERT OR REPLACE INTO revocations (id, serial, authority, shard, not_after, reason, held, revoked_at,
       invalidity_at, discovered_at, decided_at, recorded_at, published_at, enforced_at, revoked_by)
     SELECT c.id, c.serial, c.authority, c.shard, c.not_after, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
     FROM json_each(?) j CROSS JOIN certificates c ON c.id = j.value`,
  );
  const serialOf = db.prepare<[number], Uint8Array>('SELECT serial FROM revocations WHERE id = ?').pluck();
  const release = db.prepare<[number]>('DELETE FROM revocations WHERE id = ? AND held = 1');
  const append = db.prepare<[status: string, reason: string | null, at: number, ids: string]>(
    `INSERT INTO status_changes (serial, authority, shard, key_hash, status, reason, at)
     SELECT c.serial, c.authority, c.shard, c.key_hash, ?, ?, ?
     FROM json_each(?) j CROSS JOIN certificates c ON c.id = j.value ORDER BY j.key`,
  );
  const notePublished = db.prepare<[number, string]>(
    `UPDATE revocations SET published_at = ? WHERE id IN (SELECT value FROM json_each(?)) AND published_at IS NULL`,
  );
  const enforce = db
    .prepare<[string], number>(
      `UPDATE revocations SET enforced_at = max(recorded_at, j.value ->> 1) FROM json_each(?) j
       WHERE revocations.id = j.value ->> 0 AND enforced_at IS NULL RETURNING id`,
    )
    .pluck();
  const last = lastChange(db);

  /** Returns the sequence number of the first of them; the others follow it in order. */
  const appendAll = (ids: readonly number[], status: string, reason: string | null, at: number): number => {
    const { changes, lastInsertRowid } = append.run(status, reason, at, JSON.stringify(ids));
    if (changes !== ids.length) throw unknownCertificate();
    return Number(lastInsertRowid) - changes + 1;
  };
  return {
    putRevocations: (revocations) =>
      call(() => {
        for (const [common, run] of runsOf(revocations)) {
          const ids = run.map(({ id }) => id);
          if (put.run(...common, JSON.stringify(ids)).changes !== ids.length) throw unknownCertificate();
          const [reason, held, , , , , recordedAt] = common;
          const first = appendAll(ids, held === 1 ? 'held' : 'revoked', reason, recordedAt);
          for (const [at, one] of run.entries()) record(toAct(one, first + at));
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
          record({ act: 'release', sequence: appendAll([id], 'good', null, at), serial: toHex(serial), at });
        }
        return last();
      }),
    notePublished: (ids, at) =>
      call(() => {
        notePublished.run(at, JSON.stringify(ids));
      }),
    noteEnforced: (enforced) =>
      call(() => enforce.all(JSON.stringify(enforced.map(({ id, at }) => [id, at])))),
  };
}

function unknownCertificate(): BirthmarkError {
  return new BirthmarkError(
    'internal',
    'the status of a certificate was to be changed that the ledger does not have',
  );
}

/** Those that follow each other and have all but the certificate in common, in their order. */
function runsOf(revocations: readonly RevocationRecord[]): [Common, RevocationRecord[]][] {
  const runs: [Common, RevocationRecord[]][] = [];
  for (const one of revocations) {
    const { reason = null, invalidityAt = null, publishedAt = null, enforcedAt = null, by } = one;
    const { revokedAt, discoveredAt, decidedAt, recordedAt } = one;
    const times = [revokedAt, invalidityAt, discoveredAt, decidedAt, recordedAt] as const;
    const common: Common = [reason, one.held ? 1 : 0, ...times, publishedAt, enforcedAt, by];
    const run = runs.at(-1);
    if (run?.[0].every((value, at) => value === common[at])) run[1].push(one);
    else runs.push([common, [one]]);
  }
  return runs;
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
