import type { RandomBytes } from '../core/random.ts';

const FIRST_MS = 15_000;
const LEAST_CAP_MS = 60_000;
const MOST_CAP_MS = 6 * 3_600_000;
/** Once it has ended: nothing is lost by waiting any more, but the device is out. */
const MOST_CAP_AFTER_MS = 3_600_000;
/** Of what is left until the end, so that there are always some attempts more, or of what has passed since. */
const SHARE_OF_REST = 0.1;

/**
 * How long to wait after a failure: doubled with each, up to a tenth of the time that is left (a minute at least, six hours at
 * most) or, once the credential has ended, of the time since (an hour at most); and between the half and the whole of that, so
 * that devices that failed together do not come back together. Never shorter than what the server asked for.
 *
 * @param failures in a row, one at least
 * @param remainingMs until the credential ends; 0 where there is none, negative once it has ended
 */
export function backoffMs(
  failures: number,
  {
    random,
    remainingMs,
    retryAfterMs = 0,
  }: {
    readonly random: RandomBytes;
    readonly remainingMs: number;
    readonly retryAfterMs?: number | undefined;
  },
): number {
  const most = remainingMs > 0 ? MOST_CAP_MS : MOST_CAP_AFTER_MS;
  const cap = Math.min(Math.max(Math.abs(remainingMs) * SHARE_OF_REST, LEAST_CAP_MS), most);
  const whole = Math.min(FIRST_MS * 2 ** Math.min(failures - 1, 20), cap);
  return Math.max(Math.round(whole * (0.5 + fraction(random(4)) / 2)), retryAfterMs);
}

/** From 0 to below 1, out of four octets. */
export function fraction(octets: Uint8Array): number {
  return octets.subarray(0, 4).reduce((value, octet) => value * 256 + octet, 0) / 2 ** 32;
}
