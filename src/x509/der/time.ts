import { BirthmarkError } from '../../core/errors.ts';
import { TAG } from './tags.ts';

/** 9999-12-31T23:59:59Z, "no well-defined expiration date" (RFC 5280 §4.1.2.5). */
export const NO_EXPIRY = 253_402_300_799_000;

const YEAR_1950 = Date.UTC(1950, 0, 1);
const YEAR_2050 = Date.UTC(2050, 0, 1);
const UTC_TIME = /^\d{12}Z$/;
const GENERALIZED_TIME = /^\d{14}Z$/;

/** Whether RFC 5280 §4.1.2.5 writes this time (milliseconds since the epoch) as UTCTime. */
export function isUtcTime(milliseconds: number): boolean {
  return milliseconds >= YEAR_1950 && milliseconds < YEAR_2050;
}

/** Content octets of a UTCTime or GeneralizedTime, whole seconds in UTC. */
export function encodeTimeContent(milliseconds: number, generalized = !isUtcTime(milliseconds)): Uint8Array {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return Buffer.from(`${generalized ? digits : digits.slice(2)}Z`, 'latin1');
}

/**
 * Milliseconds since the epoch from a UTCTime or GeneralizedTime in the form of RFC 5280 §4.1.2.5: seconds present,
 * `Z`, no fraction. Which of the two types a year needs is for the lint to say.
 *
 * @throws BirthmarkError `bad-der`
 */
export function decodeTime(tag: number, content: Uint8Array): number {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
  const wellFormed = tag === TAG.utcTime ? UTC_TIME.test(text) : tag === TAG.generalizedTime && GENERALIZED_TIME.test(text);
  if (!wellFormed) throw new BirthmarkError('bad-der', 'a time is not YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ (RFC 5280 §4.1.2.5)');
  const digits = tag === TAG.utcTime ? (Number(text.slice(0, 2)) < 50 ? '20' : '19') + text : text;
  const part = (from: number, to: number) => Number(digits.slice(from, to));
  const date = new Date(0);
  date.setUTCFullYear(part(0, 4), part(4, 6) - 1, part(6, 8));
  date.setUTCHours(part(8, 10), part(10, 12), part(12, 14));
  const milliseconds = date.getTime();
  // A 31st of February rolls over: only a real date reads back as it was written.
  if (date.toISOString().replace(/[-:T]/g, '').slice(0, 14) !== digits.slice(0, 14)) {
    throw new BirthmarkError('bad-der', `a time names no real date: ${text}`);
  }
  return milliseconds;
}
