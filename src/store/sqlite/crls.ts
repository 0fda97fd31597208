import type { CrlBase, CrlFacts, CrlReads, CrlWrites, PublishedCrl } from '../../ca/crl/ports.ts';
import type { Connection } from './connection.ts';

interface BaseRow extends Omit<CrlBase, 'idp'> {
  readonly idp: number;
}

interface FactsRow extends Omit<PublishedCrl, 'idp' | 'base'> {
  readonly idp: number;
  readonly base: number | null;
}

type Place = Pick<CrlFacts, 'authority' | 'scope' | 'number'>;

const BASE = 'authority, number, this_update AS thisUpdate, changes, ended_before AS endedBefore, idp';
const FACTS = `${BASE}, scope, next_update AS nextUpdate, modified_at AS modifiedAt, base, size`;
export function crlReads({ db, call }: Connection): CrlReads {
  const find = db.prepare<[string, string], FactsRow>(
    `SELECT ${FACTS} FROM crls WHERE authority = ? AND scope = ?`,
  );
  const readPiece = db
    .prepare<[string, string, number, number], Uint8Array>(
      'SELECT octets FROM crl_pieces WHERE authority = ? AND scope = ? AND number = ? AND piece = ?',
    )
    .pluck();
  const readAll = db
    .prepare<[string, string, number], Uint8Array>(
      'SELECT octets FROM crl_pieces WHERE authority = ? AND scope = ? AND number = ? ORDER BY piece',
    )
    .pluck();
  const list = db.prepare<[string], FactsRow>(`SELECT ${FACTS} FROM crls WHERE authority = ? ORDER BY scope`);
  const stale = db.prepare<[], FactsRow & { readonly untoldSince: number }>(
    `SELECT * FROM (SELECT ${FACTS}, CASE WHEN scope IN ('full', 'delta')
       THEN (SELECT at FROM status_changes WHERE authority = c.authority AND sequence > c.changes ORDER BY sequence LIMIT 1)
       ELSE (SELECT at FROM status_changes WHERE authority = c.authority AND shard = CAST(c.scope AS INTEGER)
         AND sequence > c.changes ORDER BY sequence LIMIT 1) END AS untoldSince FROM crls c)
     WHERE untoldSince IS NOT NULL ORDER BY authority, scope`,
  );
  const bases = db.prepare<[string], BaseRow>(
    `SELECT ${BASE} FROM crl_bases WHERE authority = ? ORDER BY number`,
  );
  const count = (from: string) =>
    db.prepare<[string, number, number, number], number>(`SELECT count(*) FROM (${from} LIMIT ?)`).pluck();
  const changed = count('SELECT 1 FROM status_changes WHERE authority = ? AND sequence > ? AND sequence < ?');
  const ended = count('SELECT 1 FROM revocations WHERE authority = ? AND not_after >= ? AND not_after < ?');
  return {
    findCrl: (authority, scope) =>
      call(() => {
        const facts = find.get(authority, scope);
        return (
          facts && { ...toFacts(facts), crl: Buffer.concat(readAll.all(authority, scope, facts.number)) }
        );
      }),
    findCrlFacts: (authority, scope) =>
      call(() => {
        const facts = find.get(authority, scope);
        return facts && toFacts(facts);
      }),
    readCrlPiece: ({ authority, scope, number }, piece) =>
      call(() => readPiece.get(authority, scope, number, piece)),
    listCrls: (authority) => call(() => list.all(authority).map(toFacts)),
    listStaleCrls: () =>
      call(() => stale.all().map(({ untoldSince, ...row }) => ({ ...toFacts(row), untoldSince }))),
    listCrlBases: (authority) => call(() => bases.all(authority).map(toBase)),
    countBehind: ({ authority, changes, endedBefore }, until, most) =>
      call(() => {
        const behind = changed.get(authority, changes, Number.MAX_SAFE_INTEGER, most) ?? 0;
        return behind + (ended.get(authority, endedBefore, until, most - behind) ?? 0);
      }),
  };
}

export function crlWrites({ db, call, note }: Connection): Omit<CrlWrites, keyof CrlReads> {
  const take = db
    .prepare<[string, string], number>(
      `INSERT INTO crl_numbers (authority, scope, number)
       SELECT ?, ?, number + 1 FROM crl_number_floor WHERE true
       ON CONFLICT (authority, scope) DO UPDATE SET number = crl_numbers.number + 1 RETURNING number`,
    )
    .pluck();
  const addPiece = db.prepare<[string, string, number, number, Uint8Array]>(
    'INSERT INTO crl_pieces (authority, scope, number, piece, octets) VALUES (?, ?, ?, ?, ?)',
  );
  const sizeOf = db
    .prepare<[string, string, number], number>(
      'SELECT ifnull(sum(length(octets)), 0) FROM crl_pieces WHERE authority = ? AND scope = ? AND number = ?',
    )
    .pluck();
  // Of two processes that publish at once the newer list stays, whichever comes last. Numbers are taken before the ledger
  // is read, so that a later number alone does not make one newer.
  const publish = db.prepare<[Omit<FactsRow, 'modifiedAt'>]>(
    `INSERT INTO crls (authority, scope, number, before, this_update, next_update, modified_at, changes, ended_before, idp,
       base, size)
     VALUES (@authority, @scope, @number, NULL, @thisUpdate, @nextUpdate, @thisUpdate, @changes, @endedBefore, @idp, @base,
       @size)
     ON CONFLICT (authority, scope) DO UPDATE SET number = excluded.number, before = number,
       this_update = excluded.this_update, next_update = excluded.next_update,
       modified_at = max(excluded.this_update, modified_at + 1000), changes = excluded.changes,
       ended_before = excluded.ended_before, idp = excluded.idp, base = excluded.base, size = excluded.size
     WHERE excluded.number > number AND excluded.changes >= changes`,
  );
  const drop = db.prepare<[{ readonly authority: string; readonly scope: string; readonly limit: number }]>(
    `DELETE FROM crl_pieces WHERE id IN (SELECT p.id FROM crl_pieces p JOIN crls c USING (authority, scope)
       WHERE authority = @authority AND scope = @scope AND p.number < c.number AND p.number IS NOT c.before LIMIT @limit)`,
  );
  const addBase = db.prepare<[BaseRow]>(
    `INSERT INTO crl_bases (authority, number, this_update, changes, ended_before, idp)
     VALUES (@authority, @number, @thisUpdate, @changes, @endedBefore, @idp)`,
  );
  const forget = db.prepare<[string, number]>('DELETE FROM crl_bases WHERE authority = ? AND number < ?');
  const addPieces = ({ authority, scope, number }: Place, first: number, pieces: readonly Uint8Array[]) => {
    for (const [at, octets] of pieces.entries()) addPiece.run(authority, scope, number, first + at, octets);
  };
  return {
    takeCrlNumber: (authority, scope) =>
      call(() => {
        const number = take.get(authority, scope);
        if (number === undefined) throw new Error('RETURNING gave no CRL number');
        note({ act: 'crlNumber', authority, scope, number });
        return number;
      }),
    addCrlPieces: (crl, first, pieces) => call(() => addPieces(crl, first, pieces)),
    publishCrl: ({ crl, ...facts }) =>
      call(() => {
        const { authority, scope, number, base = null } = facts;
        const size = crl?.length ?? sizeOf.get(authority, scope, number) ?? 0;
        const row = { ...facts, base, idp: facts.idp ? 1 : 0, size };
        if (publish.run(row).changes === 0) return false;
        if (crl) addPieces(facts, 0, [crl]);
        return true;
      }),
    dropCrlPieces: (authority, scope, limit) => call(() => drop.run({ authority, scope, limit }).changes),
    addCrlBase: (base, forgetBelow) =>
      call(() => {
        forget.run(base.authority, forgetBelow);
        addBase.run({ ...base, idp: base.idp ? 1 : 0 });
      }),
  };
}

function toFacts({ idp, base, ...row }: FactsRow): PublishedCrl {
  return { ...row, idp: idp === 1, ...(base !== null && { base }) };
}

function toBase(row: BaseRow): CrlBase {
  return { ...row, idp: row.idp === 1 };
}
