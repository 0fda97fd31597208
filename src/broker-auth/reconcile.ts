import type { Clock } from '../core/clock.ts';
import type { Gate } from './gate.ts';
import type { KickDriver } from './ports.ts';

/** Younger sessions may not be in a broker's list yet. */
const SETTLED_MS = 60_000;

/**
 * Forgets the sessions of a broker that it has no more: brokers that ask over HTTP hardly tell of ends, and a device may not
 * be kept out by what it left behind. What the broker tells of the ends of certificates is taken over.
 */
export async function reconcile(gate: Gate, driver: KickDriver, clock: Clock): Promise<number> {
  await learnEnds(gate, driver);
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

async function learnEnds(gate: Gate, driver: KickDriver): Promise<void> {
  const open = [...gate.sessions.values()].filter(
    ({ broker, until, untilBy }) =>
      broker === driver.broker && (until === Number.POSITIVE_INFINITY || untilBy === 'sessionAge'),
  );
  if (open.length === 0 || !driver.ends) return;
  for (const [session, until] of await driver.ends(open)) gate.limit(session, until);
}
