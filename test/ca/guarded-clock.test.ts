import { expect, test } from 'vitest';
import { guardClock } from '../../src/ca/guarded-clock.ts';
import { codeOfAsync, testClock } from '../house.ts';

const MINUTE_MS = 60_000;

function codeOf(read: () => number): Promise<string> {
  return codeOfAsync((async () => read())());
}

test.each([
  ['as far as a time service steps it', -MINUTE_MS, 'accepted'],
  ['further', -MINUTE_MS - 1, 'clock-went-back'],
  ['a day', -86_400_000, 'clock-went-back'],
])('a clock that goes back %s: %s', async (_title, step, code) => {
  const clock = testClock();
  const guarded = guardClock(clock.now, 0);
  guarded();
  clock.pass(step);
  expect(await codeOf(guarded)).toBe(code);
});

test('a clock behind the ledger is refused from the first reading on, until it is right', async () => {
  const clock = testClock();
  const guarded = guardClock(clock.now, clock.now() + 2 * MINUTE_MS);
  expect(await codeOf(guarded)).toBe('clock-went-back');
  expect(await codeOf(guarded)).toBe('clock-went-back');
  clock.pass(MINUTE_MS);
  expect(guarded()).toBe(clock.now());
});

test('what was tolerated is no new beginning: small steps back do not add up', async () => {
  const clock = testClock();
  const guarded = guardClock(clock.now, 0);
  guarded();
  clock.pass(-MINUTE_MS);
  guarded();
  clock.pass(-1);
  expect(await codeOf(guarded)).toBe('clock-went-back');
});

test('says both times', () => {
  const clock = testClock();
  const guarded = guardClock(clock.now, clock.now() + 86_400_000);
  expect(guarded).toThrow(new Date(clock.now()).toISOString());
  expect(guarded).toThrow(new Date(clock.now() + 86_400_000).toISOString());
});
