import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import type { KickDriver } from '../ports.ts';
import { type AskBroker, expectStatus, LISTS_WITHIN_MS } from './management-client.ts';

const parseConnections = schemaParser(
  Type.Array(
    Type.Object({
      name: Type.Optional(Type.String()),
      user: Type.Optional(Type.String()),
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
const COLUMNS = 'columns=name,user,client_properties.client_id';

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
      const answer = await ask('GET', `/api/connections?${COLUMNS}`);
      expectStatus(answer, 'list', 200);
      const live = new Set(
        parseConnections(answer.body, 'connections').map((one) =>
          keyOf(one.user ?? '', one.client_properties?.client_id ?? ''),
        ),
      );
      return sessions.filter(({ identity, clientId }) => live.has(keyOf(identity.id, clientId)));
    },
  };
}

function keyOf(user: string, clientId: string): string {
  return `${user}\n${clientId}`;
}
