import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mapInOrder } from '../../src/core/map-in-order.ts';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** Turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at += 1) await setImmediate();
}

test('gives every result once and in order, and never has more under way than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ before: fc.nat(2), takes: fc.nat(4) }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      async (items, limit) => {
        let underWay = 0;
        let most = 0;
        async function* source() {
          for (const [at, { before, takes }] of items.entries()) {
            await turns(before);
            yield { at, takes };
          }
        }
        const results = await collect(
          mapInOrder(source(), limit, async ({ at, takes }) => {
            underWay += 1;
            most = Math.max(most, underWay);
            await turns(takes);
            underWay -= 1;
            return at;
          }),
        );
        expect(results).toEqual(items.map((_, at) => at));
        expect(most).toBeLessThanOrEqual(limit);
        if (items.length > 0) expect(most).toBeGreaterThan(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('works on several items at once', async () => {
  let underWay = 0;
  let most = 0;
  async function* source() {
    for (let at = 0; at < 9; at += 1) yield at;
  }
  await collect(
    mapInOrder(source(), 3, async () => {
      underWay += 1;
      most = Math.max(most, underWay);
      await sleep(2);
      underWay -= 1;
    }),
  );
  expect(most).toBe(3);
});

test('gives a result before the source has more: who waits for an answer gets it', async () => {
  let more = (_: number): void => undefined;
  async function* source() {
    yield 1;
    yield await new Promise<number>((resolve) => {
      more = resolve;
    });
  }
  const results = mapInOrder(source(), 3, (item) => Promise.resolve(item * 10));
  expect(await results.next()).toEqual({ done: false, value: 10 });
  more(2);
  expect(await results.next()).toEqual({ done: false, value: 20 });
  expect(await results.next()).toEqual({ done: true, value: undefined });
});

test('takes nothing more from the source while the limit is under way', async () => {
  let taken = 0;
  async function* source() {
    for (;;) {
      taken += 1;
      yield taken;
    }
  }
  const stuck = Promise.withResolvers<void>();
  const results = mapInOrder(source(), 3, () => stuck.promise);
  const first = results.next();
  await turns(20);
  expect(taken).toBe(3);
  stuck.resolve();
  await first;
  await results.return(undefined);
});

describe('an error', () => {
  test('of an item comes after the results before it and ends the stream', async () => {
    const seen: number[] = [];
    let closed = false;
    async function* source() {
      try {
        for (let at = 0; ; at += 1) yield at;
      } finally {
        closed = true;
      }
    }
    const results = mapInOrder(source(), 4, async (at) => {
      // The one that fails is done first.
      if (at === 2) throw new Error('two');
      await turns(5);
      return at;
    });
    const reading = (async () => {
      for await (const result of results) seen.push(result);
    })();
    await expect(reading).rejects.toThrow('two');
    expect(seen).toEqual([0, 1]);
    await turns(2);
    expect(closed).toBe(true);
  });

  test('of the source ends the stream', async () => {
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('gone')) }),
    };
    await expect(collect(mapInOrder(source, 2, (item) => Promise.resolve(item)))).rejects.toThrow('gone');
  });

  test('of work that nobody waits for any more is no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    async function* source() {
      yield 1;
      yield 2;
      yield 3;
    }
    const results = mapInOrder(source(), 3, async (item) => {
      await turns(item);
      if (item > 1) throw new Error(String(item));
      return item;
    });
    await results.next();
    await results.return(undefined);
    await sleep(5);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});

test('closes the source when the consumer stops early', async () => {
  let closed = false;
  async function* source() {
    try {
      for (let at = 0; ; at += 1) yield at;
    } finally {
      closed = true;
    }
  }
  for await (const result of mapInOrder(source(), 2, (item) => Promise.resolve(item)))
    if (result === 3) break;
  await turns(3);
  expect(closed).toBe(true);
});

test('does not wait for a silent source to be closed', async () => {
  const silent = new Promise<IteratorResult<number>>(() => undefined);
  let asked = 0;
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        asked += 1;
        return asked === 1 ? Promise.resolve({ done: false, value: 1 }) : silent;
      },
      return: () => silent,
    }),
  };
  const results = mapInOrder(source, 2, () => Promise.reject(new Error('broken')));
  await expect(results.next()).rejects.toThrow('broken');
});

test('an empty source gives an empty stream', async () => {
  async function* source(): AsyncGenerator<number> {}
  expect(await collect(mapInOrder(source(), 2, (item) => Promise.resolve(item)))).toEqual([]);
});
