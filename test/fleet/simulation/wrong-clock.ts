import { DAY_MS } from '../../house.ts';
import type { Fate } from './fleet.ts';

/** A device's clock, and what becomes of it. */
export interface WrongClock {
  /** By how much it is wrong, milliseconds, by the time that it really is. */
  skewMs(at: number): number;
  /** When the device starts again. */
  readonly restartsAt?: number;
}

const DECADE_MS = 3650 * DAY_MS;

/** One clock in fifty is wrong by a day, one in two hundred by ten years. */
export function wrongClock(fate: Fate): WrongClock {
  const { chance, chronicle } = fate;
  if (chance.happens(0.005)) return chance.happens(0.5) ? aDecadeBehind(fate) : aDecadeAhead(fate);
  if (!chance.happens(0.02)) return { skewMs: () => 0 };
  chronicle.count('clock wrong by a day');
  const skewMs = chance.pick([-DAY_MS, DAY_MS]);
  return { skewMs: () => skewMs };
}

/** As on a board without a battery: for good, or until its NTP comes, which is after its agent. */
function aDecadeBehind({ chance, chronicle, day }: Fate): WrongClock {
  chronicle.count('clock a decade behind');
  if (chance.happens(0.5)) return { skewMs: () => -DECADE_MS };
  chronicle.count('clock set right while the agent ran');
  const rightFrom = day(chance.between(1, 20));
  return { skewMs: (at) => (at < rightFrom ? -DECADE_MS : 0) };
}

/**
 * From birth, or set wrong while the device should renew: the agent does not believe it then, as long as it runs, since it goes
 * by what the server said. One that starts with such a clock cannot know better: by it the server's certificate has ended. Nothing
 * of ours mends that (docs/agent.md); somebody sets the clock right, NTP or whoever put it wrong, and until then the device goes
 * on with what it has, and renews nothing.
 */
function aDecadeAhead({ chance, chronicle, day }: Fate): WrongClock {
  chronicle.count('clock a decade ahead');
  const fromBirth = chance.happens(1 / 3);
  const from = fromBirth ? 0 : chance.between(20, 34);
  const [wrongFrom, rightFrom] = [day(from), day(from + chance.between(0.1, 2))];
  const skewMs = (at: number) => (wrongFrom <= at && at < rightFrom ? DECADE_MS : 0);
  if (fromBirth || chance.happens(0.5)) return { skewMs, restartsAt: wrongFrom };
  chronicle.count('clock set wrong while the agent ran');
  return { skewMs };
}
