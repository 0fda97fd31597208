import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import type { EndCause, KickDriver } from '../ports.ts';
import type { Session } from '../sessions.ts';
import { type AskBroker, expectStatus, LISTS_WITHIN_MS } from './management-client.ts';

const parseStatus = schemaParser(Type.Object({ status: Type.String() }), 'unavailable');

export interface VernemqKickOptions {
  readonly broker: string;
  readonly ask: AskBroker;
}

const CLEANED: readonly EndCause[] = ['compromised', 'quarantined'];

/**
 * Ends sessions by VerneMQ's HTTP API (v2): with DISCONNECT 0x98 for MQTT 5. What it kept for a device whose key was
 * stolen, or that was taken back with its last certificate, goes with it.
 */
export function vernemqKickDriver({ broker, ask }: VernemqKickOptions): KickDriver {
  // No mountpoint: an empty one is another than none to it.
  const query = ({ clientId }: Session) => `client_id=${encodeURIComponent(clientId)}`;
  return {
    broker,
    listsWithinMs: LISTS_WITHIN_MS,
    async kick(sessions, cause, { barred, isCurrent }) {
      const isOver = CLEANED.includes(cause) || (cause === 'revoked' && barred);
      const cleanup = isOver ? '&cleanup' : '';
      for (const session of sessions) {
        if (!isCurrent(session)) continue;
        const answer = await ask('GET', `/api/v2/disconnect?${query(session)}${cleanup}`);
        expectStatus(answer, 'disconnect', 200);
      }
    },
    async stillLive(sessions) {
      const left: Session[] = [];
      for (const session of sessions) {
        const answer = await ask('GET', `/api/v2/client?${query(session)}`);
        expectStatus(answer, 'client', 200);
        if (parseStatus(answer.body, 'client').status === 'online') left.push(session);
      }
      return left;
    },
  };
}
