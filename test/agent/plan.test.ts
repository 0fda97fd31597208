import { expect, test } from 'vitest';
import { backoffMs } from '../../src/agent/backoff.ts';
import { retryAfterMs } from '../../src/agent/net/retry-after.ts';
import { isAhead, readPace } from '../../src/agent/pace.ts';
import { planRenewal } from '../../src/agent/plan-renewal.ts';
import { readWindow, renewalId } from '../../src/agent/renewal-info.ts';
import { createTimekeeper } from '../../src/agent/timekeeper.ts';
import { NO_EXPIRY } from '../../src/x509/der/time.ts';
import { authorityKeyIdentifier, keyUsage } from '../../src/x509/extensions.ts';
import { codeOf } from '../x509/code-of.ts';
import { makeCertificate } from '../x509/path/make-certificate.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const BEGIN = Date.UTC(2026, 10, 2);
const valid = (notAfter: number) => makeCertificate({ fields: { notBefore: BEGIN, notAfter } }).der;

test('a renewal is planned within our own window, at another moment for each certificate, the same each time', () => {
  const plans = Array.from({ length: 50 }, () => {
    const der = valid(BEGIN + 90 * DAY);
    expect(planRenewal(der, undefined)).toBe(planRenewal(der, undefined));
    return (planRenewal(der, undefined) - BEGIN) / DAY;
  });
  expect(Math.min(...plans)).toBeGreaterThanOrEqual(60);
  expect(Math.max(...plans)).toBeLessThan(75);
  expect(new Set(plans).size).toBe(50);
  expect(Math.max(...plans) - Math.min(...plans)).toBeGreaterThan(5);
});

test("the server's window wins, one that is over means now, and what has no end and no window is never renewed", () => {
  const der = valid(BEGIN + 90 * DAY);
  const window = { start: BEGIN + DAY, end: BEGIN + 2 * DAY };
  const planned = planRenewal(der, window);
  expect(planned >= window.start && planned < window.end).toBe(true);
  expect(planRenewal(der, { start: 0, end: 1 })).toBe(0);
  expect(planRenewal(valid(NO_EXPIRY), undefined)).toBe(Number.POSITIVE_INFINITY);
  expect(planRenewal(valid(NO_EXPIRY), window)).toBeLessThan(window.end);
});

test('a certificate is named as in the example of RFC 9773 §4.1', () => {
  const keyId = Buffer.from('69885b6b87464041e1b37b847ba0ae2cde01c8d4', 'hex');
  const serial = Buffer.from('87654321', 'hex');
  const { der } = makeCertificate({ only: [authorityKeyIdentifier(keyId)], fields: { serial } });
  expect(renewalId(der)).toBe('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE');
  expect(renewalId(makeCertificate({ only: [keyUsage(['digitalSignature'])] }).der)).toBeUndefined();
});

const windowOf = (start: unknown, end: unknown) => () =>
  readWindow(Buffer.from(JSON.stringify({ suggestedWindow: { start, end }, explanationURL: 'https://x' })));

test('a window is two times with their offset, in order; anything else is refused', () => {
  expect(windowOf('2026-12-01T00:00:00Z', '2026-12-02T00:00:00+01:00')()).toEqual({
    start: Date.UTC(2026, 11, 1),
    end: Date.UTC(2026, 11, 1, 23),
  });
  for (const [start, end] of [
    ['2026-12-02T00:00:00Z', '2026-12-01T00:00:00Z'],
    ['2026-12-01T00:00:00Z', '2026-12-01T00:00:00Z'],
    ['2026-12-01T00:00:00', '2026-12-02T00:00:00Z'],
    ['2026-12-01', '2026-12-02'],
    [1, 2],
    ['2026-13-01T00:00:00Z', '2026-14-01T00:00:00Z'],
  ])
    expect(codeOf(windowOf(start, end))).toBe('answer-refused');
  expect(codeOf(() => readWindow(Buffer.from('<html>')))).toBe('answer-refused');
  expect(codeOf(() => readWindow(Buffer.from('{}')))).toBe('answer-refused');
});

test('waits double with each failure, spread, up to a tenth of what is left or of what has passed since, never below what was asked for', () => {
  const low = () => new Uint8Array(4);
  const high = () => new Uint8Array(4).fill(255);
  const wait = (failures: number, remainingMs: number, random = high) =>
    Math.round(backoffMs(failures, { random, remainingMs }) / 1000);
  expect([1, 2, 3, 4].map((failures) => wait(failures, 90 * DAY))).toEqual([15, 30, 60, 120]);
  expect(wait(3, 90 * DAY, low)).toBe(30);
  expect(wait(100, 90 * DAY)).toBe(6 * 3600);
  expect(wait(100, 10 * HOUR)).toBe(3600);
  expect([0, -60_000, -5 * HOUR, -DAY].map((left) => wait(100, left))).toEqual([60, 60, 1800, 3600]);
  expect(backoffMs(1, { random: high, remainingMs: DAY, retryAfterMs: 5 * HOUR })).toBe(5 * HOUR);
});

test('Retry-After is seconds, or a date against the answer itself, and neither nothing nor for ever', () => {
  const date = 'Sun, 29 Nov 2026 00:00:00 GMT';
  expect(retryAfterMs({ 'retry-after': '120' })).toBe(120_000);
  expect(retryAfterMs({ 'retry-after': 'Sun, 29 Nov 2026 00:02:00 GMT', date })).toBe(120_000);
  expect(retryAfterMs({ 'retry-after': '0' })).toBe(1000);
  expect(retryAfterMs({ 'retry-after': '999999999' })).toBe(DAY);
  for (const wrong of ['-5', '1.5', 'soon', '', '12345678901'])
    expect(retryAfterMs({ 'retry-after': wrong, date })).toBeUndefined();
  expect(retryAfterMs({ 'retry-after': 'Sun, 29 Nov 2026 00:02:00 GMT' })).toBeUndefined();
});

test('a time that was written by a clock far ahead holds nobody up', () => {
  expect(isAhead(BEGIN + HOUR, BEGIN)).toBe(true);
  expect(isAhead(BEGIN - 1, BEGIN)).toBe(false);
  expect(isAhead(BEGIN + 3650 * DAY, BEGIN)).toBe(false);
  expect(isAhead(undefined, BEGIN)).toBe(false);
});

test('what is remembered of the pace is read as it was written, and anything else is nothing', () => {
  const pace = { failures: 2, retryAt: BEGIN, window: { of: 'a', start: 1, end: 2 } };
  expect(readPace(JSON.stringify(pace))).toEqual(pace);
  for (const broken of [undefined, '', '{', '[]', '{"failures":-1}'])
    expect(readPace(broken)).toEqual({ failures: 0 });
});

test('time is never before what has been, and follows an authenticated server whose word is within its own validity', () => {
  const saved: number[] = [];
  const wrong: number[] = [];
  let clock = 0;
  let passed = 0;
  const time = createTimekeeper({
    clock: () => clock,
    elapsed: () => passed,
    seen: BEGIN + 5 * DAY,
    save: (seen) => void saved.push(seen),
    onWrong: (offset) => void wrong.push(offset),
  });
  expect(time.now()).toBe(BEGIN + 5 * DAY);
  time.heard(BEGIN + 900 * DAY, BEGIN + 90 * DAY);
  expect(time.now()).toBe(BEGIN + 5 * DAY);
  time.heard(BEGIN + 10 * DAY, BEGIN + 90 * DAY);
  expect(time.now()).toBe(BEGIN + 10 * DAY);
  clock += HOUR;
  passed += HOUR;
  expect(time.now()).toBe(BEGIN + 10 * DAY + HOUR);
  clock = BEGIN + 11 * DAY;
  time.heard(BEGIN + 11 * DAY + 20_000, BEGIN + 90 * DAY);
  expect(time.now()).toBe(BEGIN + 11 * DAY + 20_000);
  expect([saved.at(-1), wrong.length]).toEqual([BEGIN + 11 * DAY + 20_000, 1]);
});

test('a clock that is set after the server was heard, right or wrong, does not move the time', () => {
  let clock = 0;
  let passed = 0;
  const time = createTimekeeper({
    clock: () => clock,
    elapsed: () => passed,
    seen: 0,
    save: () => undefined,
    onWrong: () => undefined,
  });
  time.heard(BEGIN + DAY, BEGIN + 90 * DAY);
  const sameAfterHours = (hours: number, set: number) => {
    passed = hours * HOUR;
    clock = set;
    expect(time.now()).toBe(BEGIN + DAY + hours * HOUR);
  };
  // As on a board without a battery, whose NTP comes after its agent.
  sameAfterHours(1, BEGIN + DAY + HOUR);
  sameAfterHours(2, BEGIN + 3650 * DAY);
  sameAfterHours(3, 0);
  // By so little it may be right, and the server late.
  clock = BEGIN + DAY + 3 * HOUR + 20_000;
  expect(time.now()).toBe(clock);
});
