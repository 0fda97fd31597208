import { LRUCache } from 'lru-cache';
import type { BlockList } from './block-list.ts';
import type { GuardRules } from './parse-guard.ts';
import { kindOf, type WhoKind } from './who.ts';

/** Tells an outage, in which many fail, from somebody who misbehaves. */
export interface Breaker {
  /** Somebody was seen. */
  see(who: string, at: number): void;
  /** Whether one more of this kind would be too many. */
  isOutage(who: string, at: number): boolean;
  /** A restraint began. */
  restrained(who: string): void;
  /** Counts anew: a person has lifted something. */
  forget(): void;
}

interface Tally {
  readonly seen: LRUCache<string, number>;
  restrained: number;
  recent: number;
  countedAt: number;
}

const WINDOW_MS = 600_000;
const COUNT_EVERY_MS = 1000;
const REMEMBERED = 100_000;

/**
 * After an outage a whole fleet fails and comes again at once; none of it is to be restrained for that. Each kind has a breaker
 * of its own: who has thousands of addresses must not be able to open that of devices.
 */
export function createBreaker({ moreThan, part }: GuardRules['breaker'], blocks: BlockList): Breaker {
  const newTally = (): Tally => ({
    seen: new LRUCache({ max: REMEMBERED }),
    restrained: 0,
    recent: 0,
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
      tally.restrained = blocks.countSince(kind, at - WINDOW_MS, at);
      tally.recent = 0;
      for (const last of tally.seen.values()) if (at - last < WINDOW_MS) tally.recent += 1;
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
    restrained(who) {
      tallies[kindOf(who)].restrained += 1;
    },
    forget() {
      for (const tally of Object.values(tallies)) tally.countedAt = Number.NEGATIVE_INFINITY;
    },
  };
}
