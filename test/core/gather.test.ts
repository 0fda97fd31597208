import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gather } from '../../src/core/gather.ts';

async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at += 1) await setImmediate();
}

test('keeps every item and the order, whatever the groups, and no group is empty or too large', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ size: fc.nat(7), before: fc.nat(2) }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(2),
      async (groups, most, pause) => {
        let next = 0;
        async function* source() {
          for (const { size, before } of groups) {
            await turns(before);
            yield Array.from({ length: size }, () => next++);
          }
        }
        const seen: number[] = [];
        for await (const group of gather(source(), most)) {
          expect(group.length).toBeGreaterThan(0);
          expect(group.length).toBeLessThanOrEqual(most);
          seen.push(...group);
          await turns(pause);
        }
        expect(seen).toEqual(Array.from({ length: next }, (_, at) => at));
      },
    ),
    { numRuns: 60 },
  );
});

test('passes a trickle on at once', async () => {
  let send = (_: readonly number[]): void => undefined;
  async function* source() {
    for (;;)
      yield await new Promise<readonly number[]>((resolve) => {
        send = resolve;
      });
  }
  const groups = gather(source(), 100);
  const first = groups.next();
  await turns(1);
  send([1]);
  expect(await first).toEqual({ done: false, value: [1] });
  await groups.return(undefined);
});

test('fills groups where more is there than is taken', async () => {
  async function* source() {
    for (let at = 0; at < 12; at += 1) yield [at];
  }
  const groups = gather(source(), 5);
  await groups.next();
  await turns(20);
  expect((await groups.next()).value).toHaveLength(5);
});

test('does not read further ahead than one full group', async () => {
  let read = 0;
  async function* source() {
    for (;;) {
      read += 1;
      yield [read];
    }
  }
  const groups = gather(source(), 3);
  await groups.next();
  await turns(30);
  expect(read).toBeLessThanOrEqual(5);
  await groups.return(undefined);
});

test('takes a group of a million items', async () => {
  async function* source() {
    yield new Array<number>(1_000_000).fill(1);
  }
  let items = 0;
  for await (const group of gather(source(), 500_000)) items += group.length;
  expect(items).toBe(1_000_000);
});

test('an error of the source comes after what was there before it', async () => {
  async function* source() {
    yield [1, 2];
    throw new Error('gone');
  }
  const seen: number[] = [];
  const reading = (async () => {
    for await (const group of gather(source(), 10)) seen.push(...group);
  })();
  await expect(reading).rejects.toThrow('gone');
  expect(seen).toEqual([1, 2]);
});

test.each([
  ['while the source is read', 1],
  ['while the source waits to be read', 3],
])('closes the source when the consumer stops %s', async (_title, size) => {
  let closed = false;
  async function* source() {
    try {
      for (;;) yield new Array<number>(size).fill(0);
    } finally {
      closed = true;
    }
  }
  for await (const _ of gather(source(), 3)) break;
  await turns(5);
  expect(closed).toBe(true);
});

test('does not wait for a silent source when the consumer stops', async () => {
  const silent = new Promise<IteratorResult<readonly number[]>>(() => undefined);
  let asked = 0;
  const groups = gather(
    {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          asked += 1;
          return asked === 1 ? Promise.resolve({ done: false as const, value: [1] }) : silent;
        },
        return: () => silent,
      }),
    },
    3,
  );
  await groups.next();
  expect(await groups.return(undefined)).toEqual({ done: true, value: undefined });
});
