import type { Clock, Monotonic } from './clock.ts';

/**
 * Tells how old something is, whatever becomes of the wall clock. Its time never goes back: where the wall clock is set back it
 * goes on, and where that is set ahead, or the machine slept (which the monotonic clock does not see), it goes along. So age may
 * be more than it is, and never less. Its times mean nothing outside of this process.
 */
export interface SteadyClock {
  /** Milliseconds. */
  readonly now: () => number;
  /**
   * When something was, on this clock.
   *
   * @param at when it was by the wall clock; what that says is to come counts as now
   */
  readonly of: (at: number) => number;
}

export function createSteadyClock(clock: Clock, monotonic: Monotonic): SteadyClock {
  let ahead = clock() - monotonic();
  const now = () => {
    const passed = monotonic();
    ahead = Math.max(ahead, clock() - passed);
    return ahead + passed;
  };
  return { now, of: (at) => now() - Math.max(0, clock() - at) };
}
