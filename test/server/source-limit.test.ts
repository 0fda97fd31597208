import { expect, test } from 'vitest';
import { createSourceLimit, type SourceLimit } from '../../src/server/source-limit.ts';
import { testClock } from '../house.ts';

/** How many of so many it may have. */
function count(mayHave: SourceLimit, address: string, times: number): number {
  return Array.from({ length: times }, () => mayHave(address)).filter(Boolean).length;
}

test('a source has twice its share at once, then its share, and another source its own', () => {
  const clock = testClock();
  const mayHave = createSourceLimit(10, clock.now);
  expect(count(mayHave, '192.0.2.1', 50)).toBe(20);
  expect(count(mayHave, '192.0.2.2', 50)).toBe(20);
  clock.pass(1000);
  expect(count(mayHave, '192.0.2.1', 50)).toBe(10);
  clock.pass(60_000);
  expect(count(mayHave, '192.0.2.1', 50)).toBe(20);
});

test.each([
  ['two addresses of one /64', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', 0],
  ['two /64', '2001:db8:1:2::1', '2001:db8:1:3::1', 20],
  ['zeros left out, and written', '2001:db8::1', '2001:db8:0:0:5::', 0],
  ['an IPv4 address, and the same mapped', '192.0.2.1', '::ffff:192.0.2.1', 0],
])('%s', (_title, one, other, left) => {
  const mayHave = createSourceLimit(10, testClock().now);
  expect(count(mayHave, one, 20)).toBe(20);
  expect(count(mayHave, other, 20)).toBe(left);
});

test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])('%s has no limit', (address) => {
  expect(count(createSourceLimit(10, testClock().now), address, 500)).toBe(500);
});

test('0 is no limit', () => {
  expect(count(createSourceLimit(0, testClock().now), '192.0.2.1', 500)).toBe(500);
});

test('a clock that goes back gives nothing and takes nothing', () => {
  const clock = testClock();
  const mayHave = createSourceLimit(10, clock.now);
  expect(count(mayHave, '192.0.2.1', 20)).toBe(20);
  clock.pass(-3_600_000);
  expect(count(mayHave, '192.0.2.1', 20)).toBe(0);
  clock.pass(1000);
  expect(count(mayHave, '192.0.2.1', 20)).toBe(10);
});
