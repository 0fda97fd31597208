import Type from 'typebox';
import type { Clock } from '../../core/clock.ts';
import { schemaParser } from '../../core/schema.ts';
import type { EndCause, KickDriver } from '../ports.ts';
import type { Session } from '../sessions.ts';
import { type AskBroker, expectStatus, LISTS_WITHIN_MS } from './management-client.ts';

const parseClient = schemaParser(Type.Object({ connected: Type.Optional(Type.Boolean()) }), 'unavailable');
const parsePage = schemaParser(
  Type.Object({
    data: Type.Array(Type.Object({ clientid: Type.String(), connected: Type.Optional(Type.Boolean()) })),
    meta: Type.Optional(Type.Object({ hasnext: Type.Optional(Type.Boolean()) })),
  }),
  'unavailable',
);

export interface EmqxKickOptions {
  readonly broker: string;
  readonly ask: AskBroker;
  readonly clock: Clock;
  /**
   * A device that was taken back with its last certificate is also banned by its ClientId for so long; not at all where it
   * is not given. A ban holds against whatever certificate comes with the ClientId, so who has another one is never banned.
   */
  readonly banMs?: number;
}

/** Holds, blocks and quarantines are lifted again, which EMQX would not hear of. */
const BANNED: readonly EndCause[] = ['compromised', 'revoked'];
const KICKED_AT_ONCE = 500;
/** Above that the whole list costs less. */
const ASKED_ONE_BY_ONE = 50;
const PAGE = 1000;

/** Ends sessions by EMQX's REST API (v5). */
export function emqxKickDriver({ broker, ask, clock, banMs }: EmqxKickOptions): KickDriver {
  async function kickAll(ids: readonly string[]): Promise<void> {
    const bulk = await ask('POST', '/api/v5/clients/kickout/bulk', { body: ids });
    if (bulk.status !== 404 && bulk.status !== 405) {
      expectStatus(bulk, 'kickout', 200, 204);
      return;
    }
    // Before 5.1 there is no such address.
    for (const id of ids)
      expectStatus(await ask('DELETE', `/api/v5/clients/${encodeURIComponent(id)}`), 'kick', 200, 204, 404);
  }

  async function ban(id: string, cause: EndCause, forMs: number): Promise<void> {
    const until = new Date(clock() + forMs).toISOString().replace(/\.\d+Z$/, 'Z');
    const body = { as: 'clientid', who: id, reason: cause, by: 'birthmark', until };
    // 400: it is banned already.
    expectStatus(await ask('POST', '/api/v5/banned', { body }), 'ban', 200, 201, 400, 409);
  }

  async function isLive(id: string): Promise<boolean> {
    const found = await ask('GET', `/api/v5/clients/${encodeURIComponent(id)}`);
    if (found.status === 404) return false;
    expectStatus(found, 'look-up', 200);
    // A session that waits for its client is listed too.
    return parseClient(found.body, 'client').connected !== false;
  }

  async function listLive(): Promise<ReadonlySet<string>> {
    const live = new Set<string>();
    for (let page = 1; ; page += 1) {
      const answer = await ask('GET', `/api/v5/clients?page=${page}&limit=${PAGE}`);
      expectStatus(answer, 'list', 200);
      const { data, meta } = parsePage(answer.body, 'clients');
      for (const { clientid, connected } of data) if (connected !== false) live.add(clientid);
      if (!(meta?.hasnext ?? data.length === PAGE)) return live;
    }
  }

  return {
    broker,
    listsWithinMs: LISTS_WITHIN_MS,
    async kick(sessions, cause, { barred, isCurrent }) {
      for (let at = 0; at < sessions.length; at += KICKED_AT_ONCE) {
        const some = sessions.slice(at, at + KICKED_AT_ONCE).filter(isCurrent);
        if (some.length > 0) await kickAll(some.map(({ clientId }) => clientId));
      }
      if (banMs === undefined || !barred || !BANNED.includes(cause)) return;
      for (const session of sessions) if (isCurrent(session)) await ban(session.clientId, cause, banMs);
    },
    async stillLive(sessions) {
      if (sessions.length > ASKED_ONE_BY_ONE) {
        const live = await listLive();
        return sessions.filter(({ clientId }) => live.has(clientId));
      }
      const left: Session[] = [];
      for (const session of sessions) if (await isLive(session.clientId)) left.push(session);
      return left;
    },
  };
}
