import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';

/** What somebody signs, to show that a key is in his hands now. */
export interface Challenge {
  /** At most 64 characters, so that it fits a common name (RFC 5280 Appendix A.1). */
  readonly challenge: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

export interface Challenges {
  issue(): Challenge;
  /** Whether it is one of ours, and if so whether its time is not over; undefined for other text. */
  holds(text: string): boolean | undefined;
}

const LIFE_MS = 15 * 60_000;
const FORM = /^(key-compromise|confirmation)-([0-9]{1,12})-([0-9a-f]{32})$/;

/** What a challenge is for: one is no good for the other. */
export type ChallengePurpose = 'key-compromise' | 'confirmation';

/**
 * Challenges that are nowhere kept: each holds its end and a code over it, so that asking for many fills nothing.
 *
 * @param secret the same in every process that serves
 */
export function createChallenges(
  secret: Uint8Array,
  clock: Clock,
  purpose: ChallengePurpose = 'key-compromise',
): Challenges {
  const codeOf = (end: string) => createHmac('sha256', secret).update(end).digest().subarray(0, 16);
  return {
    issue: () => {
      const seconds = Math.ceil((clock() + LIFE_MS) / 1000);
      const challenge = `${purpose}-${seconds}-${codeOf(String(seconds)).toString('hex')}`;
      return { challenge, expires: seconds * 1000 };
    },
    holds: (text) => {
      const [, named, end, code] = FORM.exec(text) ?? [];
      if (named !== purpose || end === undefined || code === undefined) return undefined;
      if (!timingSafeEqual(codeOf(end), Buffer.from(code, 'hex'))) return undefined;
      return clock() < Number(end) * 1000;
    },
  };
}
