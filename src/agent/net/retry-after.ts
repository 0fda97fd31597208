import type { IncomingHttpHeaders } from 'node:http';

const SECOND_MS = 1000;
/** Who is told to wait longer looks in between. */
const MOST_MS = 86_400_000;

/**
 * Milliseconds that an answer asks to wait: a number of seconds, or a date, which is read against the answer's own `Date`, so
 * that our clock does not matter (RFC 9110 §10.2.3). A second at least and a day at most.
 *
 * @returns undefined where there is none, or none that can be read
 */
export function retryAfterMs(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^[0-9]{1,9}$/.test(text)) return bounded(Number(text) * SECOND_MS);
  const span = Date.parse(text) - Date.parse(headers.date ?? '');
  return /[a-z]/i.test(text) && !Number.isNaN(span) ? bounded(span) : undefined;
}

function bounded(milliseconds: number): number {
  return Math.min(Math.max(milliseconds, SECOND_MS), MOST_MS);
}
