import type { RenewalCall, RenewalCallReads, RenewalCallWrites } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';

export function renewalCallReads({ db, call }: Connection): RenewalCallReads {
  const find = db.prepare<[string], RenewalCall>(
    `SELECT r.certificate_id AS certificateId, r.cause, r.at, r.called_at AS calledAt, r.called_by AS calledBy
     FROM json_each(?) j CROSS JOIN renewal_calls r ON r.certificate_id = j.value ORDER BY j.key, r.at, r.cause`,
  );
  return { findRenewalCalls: (ids) => call(() => find.all(JSON.stringify(ids))) };
}

export function renewalCallWrites({ db, call }: Connection): Omit<RenewalCallWrites, keyof RenewalCallReads> {
  const put = db.prepare<[string]>(
    `INSERT OR REPLACE INTO renewal_calls (certificate_id, cause, at, called_at, called_by)
     SELECT value ->> 'certificateId', value ->> 'cause', value ->> 'at', value ->> 'calledAt', value ->> 'calledBy'
     FROM json_each(?)`,
  );
  const drop = db.prepare<[string, string]>(
    'DELETE FROM renewal_calls WHERE certificate_id IN (SELECT value FROM json_each(?)) AND cause = ?',
  );
  return {
    callRenewals: (calls) =>
      call(() => {
        put.run(JSON.stringify(calls));
      }),
    dropRenewalCalls: (ids, cause) => call(() => drop.run(JSON.stringify(ids), cause).changes),
  };
}
