import type { Clock, Monotonic } from '../core/clock.ts';

/** No device runs this before it was written: a clock that says so is wrong. */
const WRITTEN_AT = Date.UTC(2026, 10, 1);
const HOUR_MS = 3_600_000;
/** A clock that is off by less is as good as any. */
const TOLERANCE_MS = 60_000;

/** What time it is, on a machine whose clock may be wrong by a decade. */
export interface Timekeeper {
  /**
   * Milliseconds since the epoch: what an authenticated server said and what has passed since, where the machine's clock says
   * something else; that clock's time else. Never before the latest time that is known to have been.
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
 * @param elapsed goes on evenly, also while the machine sleeps and whatever its clock is set to: a clock that was a decade behind
 *   when the server was heard may be set right the moment after, and one that was right may be set wrong
 * @param seen the latest time that is known to have been, as it was saved
 * @param save writes it down, once an hour at most
 * @param onWrong told once where the clock and a server differ
 */
export function createTimekeeper({
  clock,
  elapsed,
  seen,
  save,
  onWrong,
}: {
  readonly clock: Clock;
  readonly elapsed: Monotonic;
  readonly seen: number;
  readonly save: (seen: number) => void;
  readonly onWrong: (offsetMs: number) => void;
}): Timekeeper {
  let saved = seen;
  let floor = Math.max(seen, WRITTEN_AT);
  let said: { readonly time: number; readonly at: number } | undefined;
  let isWrong = false;
  const raise = (time: number) => {
    floor = Math.max(floor, time);
    if (floor < saved + HOUR_MS) return;
    saved = floor;
    save(floor);
  };
  const byServer = () => said && said.time + elapsed() - said.at;
  return {
    now: () => {
      const [mine, theirs = mine] = [clock(), byServer()];
      return Math.max(Math.abs(theirs - mine) > TOLERANCE_MS ? theirs : mine, floor);
    },
    heard: (serverTime, goodUntil) => {
      if (serverTime > goodUntil) return;
      said = { time: serverTime, at: elapsed() };
      const offset = serverTime - clock();
      const wasWrong = isWrong;
      isWrong = Math.abs(offset) > TOLERANCE_MS;
      if (isWrong && !wasWrong) onWrong(offset);
      raise(serverTime);
    },
    hasBeen: raise,
  };
}
