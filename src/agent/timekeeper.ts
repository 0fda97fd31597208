import type { Clock } from '../core/clock.ts';

/** No device runs this before it was written: a clock that says so is wrong. */
const WRITTEN_AT = Date.UTC(2026, 10, 1);
const HOUR_MS = 3_600_000;
/** A clock that is off by less is as good as any. */
const TOLERANCE_MS = 60_000;

/** What time it is, on a machine whose clock may be wrong by a decade. */
export interface Timekeeper {
  /**
   * Milliseconds since the epoch: the machine's clock, put right by what an authenticated server said, and never before the
   * latest time that is known to have been.
   */
  now(): number;
  /**
   * Hears the `Date` of a server that was authenticated (RFC 9110 §6.6.1), in milliseconds since the epoch.
   *
   * @param goodUntil the end of the server's own path: it cannot know of a time after that
   */
  heard(serverTime: number, goodUntil: number): void;
  /** Hears of a time that has been, such as the beginning of a certificate that was issued to us. */
  hasBeen(time: number): void;
}

/**
 * @param seen the latest time that is known to have been, as it was saved
 * @param save writes it down, once an hour at most
 * @param onWrong told once where the clock and a server differ
 */
export function createTimekeeper({
  clock,
  seen,
  save,
  onWrong,
}: {
  readonly clock: Clock;
  readonly seen: number;
  readonly save: (seen: number) => void;
  readonly onWrong: (offsetMs: number) => void;
}): Timekeeper {
  let saved = seen;
  let floor = Math.max(seen, WRITTEN_AT);
  let offset = 0;
  const raise = (time: number) => {
    floor = Math.max(floor, time);
    if (floor < saved + HOUR_MS) return;
    saved = floor;
    save(floor);
  };
  return {
    now: () => Math.max(clock() + offset, floor),
    heard: (serverTime, goodUntil) => {
      if (serverTime > goodUntil) return;
      const found = serverTime - clock();
      const next = Math.abs(found) > TOLERANCE_MS ? found : 0;
      if (next !== 0 && offset === 0) onWrong(next);
      offset = next;
      raise(serverTime);
    },
    hasBeen: raise,
  };
}
