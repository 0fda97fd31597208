import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newSerial, shardOf } from '../../src/ca/serial.ts';
import { BEGINNING, seededRandom } from '../house.ts';

const LATEST = Date.UTC(6000, 0, 1);

test('has 16 octets and is positive, whatever chance gives', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: LATEST }),
      fc.uint8Array({ minLength: 10, maxLength: 10 }),
      (now, octets) => {
        const serial = newSerial(now, () => octets);
        expect(serial).toHaveLength(16);
        expect((serial[0] ?? 0xff) & 0x80).toBe(0);
        expect(serial.some((octet) => octet !== 0)).toBe(true);
      },
    ),
  );
});

test('holds 80 bits of the source that it was given, untouched', () => {
  const octets = Uint8Array.from({ length: 10 }, (_, at) => 0xf0 + at);
  let asked = 0;
  const serial = newSerial(BEGINNING, (size) => {
    asked = size;
    return octets;
  });
  expect(asked).toBe(10);
  expect([...serial.subarray(6)]).toEqual([...octets]);
});

test('a later one is greater: the ledger appends at the end of its index', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: LATEST }),
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.uint8Array({ minLength: 10, maxLength: 10 }),
      fc.uint8Array({ minLength: 10, maxLength: 10 }),
      (now, later, first, second) => {
        expect(
          Buffer.compare(
            newSerial(now, () => first),
            newSerial(now + later, () => second),
          ),
        ).toBe(-1);
      },
    ),
  );
});

test('ten thousand of one millisecond differ', () => {
  const random = seededRandom();
  const serials = new Set(Array.from({ length: 10_000 }, () => newSerial(BEGINNING, random).toString('hex')));
  expect(serials.size).toBe(10_000);
});

test.each([1, 7, 64, 10_000])('spreads evenly over %i shards', (shards) => {
  const random = seededRandom('shards');
  const drawn = 40 * Math.min(shards, 64);
  const found = new Map<number, number>();
  for (let at = 0; at < drawn; at += 1) {
    const shard = shardOf(newSerial(BEGINNING, random), shards);
    expect(shard).toBeGreaterThanOrEqual(0);
    expect(shard).toBeLessThan(shards);
    found.set(shard, (found.get(shard) ?? 0) + 1);
  }
  // Of one instant, so that time plays no part in it.
  expect(found.size).toBeGreaterThan(Math.min(shards, drawn) * 0.8);
  expect(Math.max(...found.values())).toBeLessThan(3 * Math.max(40, drawn / shards));
});
