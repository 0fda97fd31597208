import type { GuardRules } from './parse-guard.ts';
import { RecentMap } from './recent-map.ts';
import { kindOf, type WhoKind } from './who.ts';

/** Tells an outage, in which many fail, from somebody who misbehaves. */
export interface Breaker {
  /** Somebody was seen. */
  see(who: string, at: number): void;
  /** Whether one more of this kind would be too many. */
  isOutage(who: string, at: number): boolean;
  /** A restraint began. It counts as long as the window lasts, even where it ends before. */
  restrained(who: string, at: number): void;
  /** A person says that this restraint was none. */
  forget(who: string): void;
}

interface Tally {
  /** When each was seen last, and was restrained last. */
  readonly seen: RecentMap<number>;
  readonly begun: RecentMap<number>;
  /** How many of both are within the window. */
  recent: number;
  restrained: number;
  countedAt: number;
}

const WINDOW_MS = 600_000;
const COUNT_EVERY_MS = 1000;

/**
 * After an outage a whole fleet fails and comes again at once; none of it is to be restrained for that. Each kind has a breaker
 * of its own: who has thousands of addresses must not be able to open that of devices.
 *
 * @param max how many of a kind are remembered
 */
export function createBreaker({ moreThan, part }: GuardRules['breaker'], max: number): Breaker {
  const newTally = (): Tally => ({
    seen: new RecentMap(max),
    begun: new RecentMap(max),
    recent: 0,
    restrained: 0,
    countedAt: Number.NEGATIVE_INFINITY,
  });
  const tallies: Readonly<Record<WhoKind, Tally>> = {
    device: newTally(),
    certificate: newTally(),
    address: newTally(),
  };

  /** Once a second: both are long lists. */
  function count(kind: WhoKind, at: number): Tally {
    const tally = tallies[kind];
    if (at < tally.countedAt || at - tally.countedAt >= COUNT_EVERY_MS) {
      tally.countedAt = at;
      tally.recent = countWithin(tally.seen, at);
      tally.restrained = countWithin(tally.begun, at);
    }
    return tally;
  }

  return {
    see(who, at) {
      const tally = tallies[kindOf(who)];
      const last = tally.seen.get(who);
      if (last === undefined || at - last >= WINDOW_MS) tally.recent += 1;
      tally.seen.set(who, at);
    },
    isOutage(who, at) {
      const { restrained, recent } = count(kindOf(who), at);
      return restrained + 1 > moreThan && restrained + 1 > recent * part;
    },
    restrained(who, at) {
      const tally = tallies[kindOf(who)];
      tally.begun.set(who, at);
      tally.restrained += 1;
    },
    forget(who) {
      const tally = tallies[kindOf(who)];
      tally.begun.delete(who);
      tally.countedAt = Number.NEGATIVE_INFINITY;
    },
  };
}

function countWithin(times: RecentMap<number>, at: number): number {
  let count = 0;
  for (const [, time] of times.entries()) if (at - time < WINDOW_MS) count += 1;
  return count;
}
