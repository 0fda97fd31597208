import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import type { KickDriver } from '../ports.ts';
import { type AskBroker, expectStatus, LISTS_WITHIN_MS } from './management-client.ts';

const parseConnections = schemaParser(
  Type.Array(
    Type.Object({
      name: Type.Optional(Type.String()),
      user: Type.Optional(Type.String()),
      peer_cert_validity: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      client_properties: Type.Optional(Type.Object({ client_id: Type.Optional(Type.String()) })),
    }),
  ),
  'unavailable',
);

export interface RabbitmqKickOptions {
  readonly broker: string;
  readonly ask: AskBroker;
}

/** Its list is some seconds late, so a connection is ended by who has it, which is looked up where it lives. */
const COLUMNS = 'columns=name,user,client_properties.client_id,peer_cert_validity';

/** Ends sessions by RabbitMQ's management API: all connections of a device's name, since it knows no certificates. */
export function rabbitmqKickDriver({ broker, ask }: RabbitmqKickOptions): KickDriver {
  return {
    broker,
    listsWithinMs: LISTS_WITHIN_MS,
    async kick(sessions, cause, { isCurrent }) {
      const headers = { 'x-reason': `birthmark: ${cause}` };
      for (const [user, own] of Map.groupBy(sessions, ({ identity }) => identity.id)) {
        if (!own.some(isCurrent)) continue;
        const path = `/api/connections/username/${encodeURIComponent(user)}`;
        expectStatus(await ask('DELETE', path, { headers }), 'delete', 200, 204, 404);
      }
    },
    async stillLive(sessions) {
      const live = new Set((await list()).map(({ key }) => key));
      return sessions.filter((session) => live.has(keyOf(session.identity.id, session.clientId)));
    },
    async ends(sessions) {
      const byKey = new Map((await list()).map(({ key, until }) => [key, until]));
      return new Map(
        sessions.flatMap((session) => {
          const until = byKey.get(keyOf(session.identity.id, session.clientId));
          return until === undefined ? [] : [[session, until] as const];
        }),
      );
    },
  };

  async function list() {
    const answer = await ask('GET', `/api/connections?${COLUMNS}`);
    expectStatus(answer, 'list', 200);
    return parseConnections(answer.body, 'connections').map(
      ({ user, client_properties, peer_cert_validity }) => ({
        key: keyOf(user ?? '', client_properties?.client_id ?? ''),
        until: endOf(peer_cert_validity),
      }),
    );
  }
}

/** RabbitMQ writes `2026-01-02T03:04:05Z - 2027-01-02T03:04:05Z`; undefined for all else. */
function endOf(validity: string | null | undefined): number | undefined {
  const end = / - (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/.exec(validity ?? '')?.[1];
  const at = end === undefined ? Number.NaN : Date.parse(end);
  return Number.isNaN(at) ? undefined : at;
}

function keyOf(user: string, clientId: string): string {
  return `${user}\n${clientId}`;
}
