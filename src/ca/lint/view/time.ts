import { TAG } from '../../../x509/der/tags.ts';
import { lengthOf, type Tlv } from './tlv.ts';

export interface TimeView {
  readonly raw: Tlv;
  readonly generalized: boolean;
  /** Milliseconds since the epoch; NaN where it is no time in the form of RFC 5280 §4.1.2.5. */
  readonly at: number;
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Reads `YYMMDDHHMMSSZ` (UTCTime) or `YYYYMMDDHHMMSSZ` (GeneralizedTime). */
export function readTime(raw: Tlv): TimeView {
  const generalized = raw.tag === TAG.generalizedTime;
  const digits = generalized ? 14 : 12;
  const { bytes, content } = raw;
  if (
    (!generalized && raw.tag !== TAG.utcTime) ||
    lengthOf(raw) !== digits + 1 ||
    bytes[content + digits] !== 0x5a
  ) {
    return { raw, generalized, at: Number.NaN };
  }
  const first = twoDigits(bytes, content);
  const year = generalized ? first * 100 + twoDigits(bytes, content + 2) : first + (first < 50 ? 2000 : 1900);
  const rest = content + digits - 10;
  const month = twoDigits(bytes, rest);
  const day = twoDigits(bytes, rest + 2);
  const hour = twoDigits(bytes, rest + 4);
  const minute = twoDigits(bytes, rest + 6);
  const second = twoDigits(bytes, rest + 8);
  const days = month === 2 && isLeap(year) ? 29 : DAYS[month - 1];
  const real = days !== undefined && day >= 1 && day <= days && hour < 24 && minute < 60 && second < 60;
  return { raw, generalized, at: real ? millisecondsOf(year, month, day, hour, minute, second) : Number.NaN };
}

function twoDigits(bytes: Uint8Array, at: number): number {
  return digit(bytes, at) * 10 + digit(bytes, at + 1);
}

/** NaN for what is no digit, so that every comparison above fails. */
function digit(bytes: Uint8Array, at: number): number {
  const value = (bytes[at] ?? 0) - 0x30;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** `Date.UTC`, but without its meaning of the years 0 to 99. */
function millisecondsOf(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number {
  if (year >= 100) return Date.UTC(year, month - 1, day, hour, minute, second);
  return new Date(Date.UTC(2000, month - 1, day, hour, minute, second)).setUTCFullYear(year, month - 1, day);
}
