import type { Clock } from '../core/clock.ts';
import type { Gate } from './gate.ts';
import type { KickDriver } from './ports.ts';

/** Younger sessions may not be in a broker's list yet. */
const SETTLED_MS = 60_000;

/**
 * Forgets the sessions of a broker that it has no more: brokers that ask over HTTP hardly tell of ends, and a device may not
 * be kept out by what it left behind.
 */
export async function reconcile(gate: Gate, driver: KickDriver, clock: Clock): Promise<number> {
  const before = clock() - SETTLED_MS;
  const asked = [...gate.sessions.values()].filter(
    ({ broker, since }) => broker === driver.broker && since <= before,
  );
  if (asked.length === 0) return 0;
  const live = new Set(await driver.stillLive(asked));
  const gone = asked.filter((session) => !live.has(session));
  for (const session of gone) gate.disconnected(session, 'clean', session);
  return gone.length;
}
