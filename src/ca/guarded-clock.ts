import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';

/** Time services step clocks by seconds; a machine that woke up in the past is off by more. */
const TOLERATED_STEP_MS = 60_000;

/**
 * A clock that refuses to go back: certificates dated before others that the ledger holds would make a lie of every
 * order in it.
 *
 * @param latest the latest time that the ledger has seen, in milliseconds since the epoch
 * @returns a clock that throws BirthmarkError `clock-went-back`
 */
export function guardClock(clock: Clock, latest: number): Clock {
  let highest = latest;
  return () => {
    const now = clock();
    if (now < highest - TOLERATED_STEP_MS) {
      throw new BirthmarkError(
        'clock-went-back',
        `this machine's clock says ${new Date(now).toISOString()}, but the ledger has seen ${new Date(highest).toISOString()}; ` +
          'nothing is issued until the clock is right (check the time service)',
      );
    }
    if (now > highest) highest = now;
    return now;
  };
}
