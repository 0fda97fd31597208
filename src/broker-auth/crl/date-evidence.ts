import type { Clock } from '../../core/clock.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';

/** When something that was signed was so, and until when it holds, by the steady clock. */
export interface EvidenceDates {
  readonly asOf: number;
  readonly until: number;
}

export interface EvidenceClock {
  readonly clock: Clock;
  readonly steady: SteadyClock;
  /** The latest time that was seen before this start, milliseconds since the epoch; absent where nothing is known of that. */
  readonly seen?: number;
}

/** So far clocks may differ. */
export const EVIDENCE_SKEW_MS = 5 * 60_000;

/** The clock stands before what it said before this start: nobody can say how old anything is. */
export function isClockBack({ clock, seen }: EvidenceClock): boolean {
  return seen !== undefined && clock() < seen - EVIDENCE_SKEW_MS;
}

/** Dates what is taken in now. What can be said of no age is as old as can be, and over. */
export function dateEvidence(thisUpdate: number, nextUpdate: number, by: EvidenceClock): EvidenceDates {
  if (isClockBack(by)) return NOBODY_KNOWS;
  const { clock, steady, seen = Number.NEGATIVE_INFINITY } = by;
  const at = Math.max(clock(), seen);
  if (thisUpdate > at + EVIDENCE_SKEW_MS) return NOBODY_KNOWS;
  const now = steady.now();
  return { asOf: now - Math.max(0, at - thisUpdate), until: now + nextUpdate - at };
}

const NOBODY_KNOWS: EvidenceDates = {
  asOf: Number.NEGATIVE_INFINITY,
  until: Number.NEGATIVE_INFINITY,
};
