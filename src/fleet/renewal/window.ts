import { createHash } from 'node:crypto';
import type { RotationPolicy } from '../rotation/settings.ts';

/** When a certificate is to be renewed. Milliseconds since the epoch, whole seconds; `end` is after `start`. */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
}

export interface Validity {
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
}

const SECOND_MS = 1000;
/** A device's own window is this part of the time over which the fleet is spread. */
const SLICES = 10;

/**
 * The window of one certificate (RFC 9773 §4.2): a slice of the time that the policy says of its validity, at a place that its
 * serial number chooses, so that what was issued together is not renewed together, and every process says the same.
 */
export function windowOf(
  { serial, notBefore, notAfter }: Validity,
  { start, end }: RotationPolicy['window'],
): RenewalWindow {
  const validity = notAfter - notBefore;
  const from = notBefore + validity * start;
  const slice = (validity * (end - start)) / SLICES;
  const place = createHash('sha256').update(serial).digest().readUInt32BE(0) / 2 ** 32;
  const begin = wholeSeconds(from + place * (validity * (end - start) - slice));
  return { start: begin, end: Math.max(begin + SECOND_MS, wholeSeconds(begin + slice)) };
}

/** The window that says "now": it is over, and who reads it does not wait (RFC 9773 §4.2). */
export function windowAt(at: number): RenewalWindow {
  const start = wholeSeconds(at);
  return { start, end: start + SECOND_MS };
}

function wholeSeconds(at: number): number {
  return Math.floor(at / SECOND_MS) * SECOND_MS;
}
