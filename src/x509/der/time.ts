import { BirthmarkError } from '../../core/errors.ts';
import { TAG } from './tags.ts';

/** 9999-12-31T23:59:59Z, "no well-defined expiration date" (RFC 5280 §4.1.2.5). */
export const NO_EXPIRY = 253_402_300_799_000;

const YEAR_1950 = Date.UTC(1950, 0, 1);
const YEAR_2050 = Date.UTC(2050, 0, 1);
/** The Gregorian calendar repeats after 400 years. */
const FOUR_CENTURIES = 146_097 * 86_400_000;
const DIGIT_0 = 0x30;
const LETTER_Z = 0x5a;

/** Whether RFC 5280 §4.1.2.5 writes this time (milliseconds since the epoch) as UTCTime. */
export function isUtcTime(milliseconds: number): boolean {
  return milliseconds >= YEAR_1950 && milliseconds < YEAR_2050;
}

/**
 * Content octets of a UTCTime or GeneralizedTime, whole seconds in UTC, rounded down.
 *
 * @throws BirthmarkError `internal` for a time that the form cannot hold
 */
export function encodeTimeContent(milliseconds: number, generalized = !isUtcTime(milliseconds)): Uint8Array {
  const date = new Date(milliseconds);
  const year = date.getUTCFullYear();
  // Also false for NaN, which is what an invalid date has for a year.
  if (!(generalized ? year >= 0 && year <= 9999 : isUtcTime(milliseconds))) {
    throw new BirthmarkError('internal', `${milliseconds} ms is outside of what the time's form can say`);
  }
  const content = new Uint8Array(generalized ? 15 : 13);
  let at = 0;
  if (generalized) at = writePair(content, at, Math.floor(year / 100));
  at = writePair(content, at, year % 100);
  at = writePair(content, at, date.getUTCMonth() + 1);
  at = writePair(content, at, date.getUTCDate());
  at = writePair(content, at, date.getUTCHours());
  at = writePair(content, at, date.getUTCMinutes());
  at = writePair(content, at, date.getUTCSeconds());
  content[at] = LETTER_Z;
  return content;
}

function writePair(content: Uint8Array, at: number, value: number): number {
  const tens = Math.floor(value / 10);
  content[at] = DIGIT_0 + tens;
  content[at + 1] = DIGIT_0 + value - tens * 10;
  return at + 2;
}

/** Whether these content octets are what `decodeTime` takes. */
export function isTimeContent(tag: number, bytes: Uint8Array, start: number, end: number): boolean {
  return !Number.isNaN(readTime(tag, bytes, start, end));
}

/**
 * Milliseconds since the epoch from a UTCTime or GeneralizedTime at `start`…`end` in the form of RFC 5280 §4.1.2.5:
 * seconds present, `Z`, no fraction. Which of the two types a year needs is for the lint to say.
 *
 * @throws BirthmarkError `bad-der`
 */
export function decodeTime(tag: number, bytes: Uint8Array, start: number, end: number): number {
  const milliseconds = readTime(tag, bytes, start, end);
  if (!Number.isNaN(milliseconds)) return milliseconds;
  const text = JSON.stringify(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  throw new BirthmarkError(
    'bad-der',
    `a time is not YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ of a real date (RFC 5280 §4.1.2.5): ${text.slice(0, 40)}`,
  );
}

/** NaN for what is no time. */
function readTime(tag: number, bytes: Uint8Array, start: number, end: number): number {
  const generalized = tag === TAG.generalizedTime;
  if (!generalized && tag !== TAG.utcTime) return Number.NaN;
  if (end - start !== (generalized ? 15 : 13) || bytes[end - 1] !== LETTER_Z) return Number.NaN;
  // A pair that is no number is NaN, and so is all that is worked out from it.
  const yearAt = generalized ? start + 2 : start;
  const shortYear = readPair(bytes, yearAt);
  const year = generalized
    ? readPair(bytes, start) * 100 + shortYear
    : shortYear + (shortYear < 50 ? 2000 : 1900);
  const month = readPair(bytes, yearAt + 2);
  const day = readPair(bytes, yearAt + 4);
  const hour = readPair(bytes, yearAt + 6);
  const minute = readPair(bytes, yearAt + 8);
  const second = readPair(bytes, yearAt + 10);
  const isDate = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (!isDate || hour > 23 || minute > 59 || second > 59) return Number.NaN;
  // Date.UTC takes the years 0 to 99 for 1900 to 1999, so it is asked for the same day 400 years later.
  return Date.UTC(year + 400, month - 1, day, hour, minute, second) - FOUR_CENTURIES;
}

function readPair(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] ?? 0) - DIGIT_0;
  const ones = (bytes[at + 1] ?? 0) - DIGIT_0;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
