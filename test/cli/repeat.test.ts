import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { repeat } from '../../src/cli/serve/repeat.ts';

const silent = () => undefined;

test('a task is not begun while it still runs, and again when it has ended', async () => {
  let [running, most, begun] = [0, 0, 0];
  const stop = repeat(
    async () => {
      begun += 1;
      running += 1;
      most = Math.max(most, running);
      await sleep(30);
      running -= 1;
    },
    2,
    silent,
  );
  while (begun < 3) await sleep(2);
  await stop();
  expect(most).toBe(1);
});

test('stopping waits for the task that runs, and begins no other', async () => {
  let [begun, ended] = [0, 0];
  const stop = repeat(
    async () => {
      begun += 1;
      await sleep(30);
      ended += 1;
    },
    2,
    silent,
  );
  while (begun === 0) await sleep(1);
  await stop();
  expect([begun, ended]).toEqual([1, 1]);
  await sleep(20);
  expect(begun).toBe(1);
});

test('a task that fails tells why and is begun again', async () => {
  const told: unknown[] = [];
  const stop = repeat(
    () => Promise.reject(new Error('no')),
    2,
    (error) => told.push(error),
  );
  while (told.length < 2) await sleep(2);
  await stop();
  expect(told[0]).toEqual(new Error('no'));
});
