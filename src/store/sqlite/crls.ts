import type { CrlReads, CrlRecord, CrlWrites } from '../../ca/ports.ts';
import type { Connection } from './connection.ts';

const FACTS = 'authority, scope, number, this_update AS thisUpdate, next_update AS nextUpdate, changes';

export function crlReads({ db, call }: Connection): CrlReads {
  const find = db.prepare<[string, string], CrlRecord>(
    `SELECT ${FACTS}, crl FROM crls WHERE authority = ? AND scope = ?`,
  );
  const list = db.prepare<[string], Omit<CrlRecord, 'crl'>>(
    `SELECT ${FACTS} FROM crls WHERE authority = ? ORDER BY scope`,
  );
  const stale = db.prepare<[], Omit<CrlRecord, 'crl'>>(
    `SELECT ${FACTS} FROM crls c WHERE CASE scope
       WHEN 'full' THEN EXISTS (SELECT 1 FROM status_changes WHERE authority = c.authority AND sequence > c.changes)
       ELSE EXISTS (SELECT 1 FROM status_changes
         WHERE authority = c.authority AND shard = CAST(c.scope AS INTEGER) AND sequence > c.changes) END
     ORDER BY authority, scope`,
  );
  return {
    findCrl: (authority, scope) => call(() => find.get(authority, scope)),
    listCrls: (authority) => call(() => list.all(authority)),
    listStaleCrls: () => call(() => stale.all()),
  };
}

export function crlWrites({ db, call }: Connection): Omit<CrlWrites, keyof CrlReads> {
  const take = db
    .prepare<[string, string], number>(
      `INSERT INTO crl_numbers (authority, scope, number) VALUES (?, ?, 1)
       ON CONFLICT (authority, scope) DO UPDATE SET number = number + 1 RETURNING number`,
    )
    .pluck();
  // Of two processes that publish at once the newer list stays, whichever comes last. Numbers are taken before the ledger
  // is read, so that a later number alone does not make one newer.
  const publish = db.prepare<[string, string, number, number, number, number, Uint8Array]>(
    `INSERT INTO crls (authority, scope, number, this_update, next_update, changes, crl)
     VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (authority, scope) DO UPDATE SET number = excluded.number, this_update = excluded.this_update,
       next_update = excluded.next_update, changes = excluded.changes, crl = excluded.crl
     WHERE excluded.number >= number AND excluded.changes >= changes`,
  );
  return {
    takeCrlNumber: (authority, scope) =>
      call(() => {
        const number = take.get(authority, scope);
        if (number === undefined) throw new Error('RETURNING gave no CRL number');
        return number;
      }),
    publishCrl: ({ authority, scope, number, thisUpdate, nextUpdate, changes, crl }) =>
      call(() => {
        publish.run(authority, scope, number, thisUpdate, nextUpdate, changes, crl);
      }),
  };
}
