import type { Database } from 'better-sqlite3';
import type { ChangedRow, CrlMoment, CrlMoments, ListedRow } from '../../ca/crl/ports.ts';
import { ledgerClosed, translateError } from './translate-error.ts';

/** Reason, invalidity and whether it is new, as `ListedRow` has them. */
const LISTED = `hex(r.serial), r.revoked_at, CASE r.held WHEN 1 THEN 'certificateHold' ELSE r.reason END, r.invalidity_at,
  CASE WHEN r.published_at IS NULL THEN r.id END`;

type ChangedColumns = readonly [
  sequence: number,
  serial: string,
  at: number,
  id: number | null,
  notAfter: number | null,
  ...ListedRow,
];

interface Search {
  readonly authority: string;
  readonly shard?: number;
  readonly from: number;
  readonly until: number;
  readonly after: Uint8Array;
  readonly limit: number;
}

/**
 * Reads of one moment: a connection of its own each, in one transaction, which a list that takes seconds may hold without
 * being in the way of other reads.
 *
 * @param open opens a connection that only reads
 */
export function crlMoments(open: () => Database, isClosed: () => boolean): CrlMoments {
  return {
    async atOneMoment(work) {
      if (isClosed()) throw ledgerClosed();
      const db = translating(open);
      try {
        return await work(translating(() => momentOf(db)));
      } finally {
        // Ends the transaction too.
        db.close();
      }
    },
  };
}

function translating<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw translateError(error);
  }
}

function momentOf(db: Database): CrlMoment {
  db.exec('BEGIN');
  // The first read is what the moment is of.
  const changes = db.prepare<[], number | null>('SELECT max(sequence) FROM status_changes').pluck().get();
  const listing = (where: string) =>
    db
      .prepare<[Search], ListedRow>(
        `SELECT ${LISTED} FROM revocations r WHERE authority = @authority ${where} AND serial > @after
           AND not_after >= @from AND not_after < @until ORDER BY serial LIMIT @limit`,
      )
      .raw();
  const [all, ofShard] = [listing(''), listing('AND shard = @shard')];
  // Few have ended, so that they are sorted is cheaper than to go through all in order.
  const ended = db
    .prepare<[Search], ListedRow>(
      `SELECT ${LISTED} FROM revocations r INDEXED BY revocations_end WHERE authority = @authority AND serial > @after
         AND not_after >= @from AND not_after < @until ORDER BY serial LIMIT @limit`,
    )
    .raw();
  const changed = db
    .prepare<[string, number, number], ChangedColumns>(
      `SELECT s.sequence, hex(s.serial), s.at, r.id, r.not_after, ${LISTED}
       FROM status_changes s JOIN certificates c ON c.serial = s.serial LEFT JOIN revocations r ON r.id = c.id
       WHERE s.authority = ? AND s.sequence > ? ORDER BY s.sequence LIMIT ?`,
    )
    .raw();
  const count = (where: string) =>
    db
      .prepare<[string, number], number>(`SELECT count(*) FROM revocations WHERE authority = ? AND ${where}`)
      .pluck();
  const [countAll, countShard] = [count('? = 0'), count('shard = ?')];
  const until = Number.MAX_SAFE_INTEGER;
  return {
    changes: changes ?? 0,
    listEntries: ({ endedBefore, after, ...search }) => {
      const wanted = { ...search, from: endedBefore, until, after: Buffer.from(after, 'hex') };
      return translating(() => (search.shard === undefined ? all : ofShard).all(wanted));
    },
    countEntries: (authority, shard) =>
      translating(
        () => (shard === undefined ? countAll.get(authority, 0) : countShard.get(authority, shard)) ?? 0,
      ),
    listEnded: ({ after, ...search }) =>
      translating(() => ended.all({ ...search, after: Buffer.from(after, 'hex') })),
    listChanged: (authority, after, limit) =>
      translating(() => changed.all(authority, after, limit).map(toChanged)),
  };
}

function toChanged([sequence, serial, at, id, notAfter, ...listed]: ChangedColumns): ChangedRow {
  const change = { sequence, serial, at, notAfter: notAfter ?? 0 };
  return id === null ? change : { ...change, listed };
}
