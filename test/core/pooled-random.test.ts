import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { poolRandom } from '../../src/core/pooled-random.ts';

describe('poolRandom', () => {
  it('hands out what the source gave, each octet once', () => {
    let next = 0;
    const counting = (size: number) => Buffer.from(Array.from({ length: size }, () => next++ % 251));
    const random = poolRandom(counting);
    expect([...random(4)]).toEqual([0, 1, 2, 3]);
    expect([...random(3)]).toEqual([4, 5, 6]);
  });

  it('keeps what it handed out when it wipes its pool', () => {
    const random = poolRandom((size) => randomBytes(size));
    const all = Array.from({ length: 2000 }, () => Buffer.from(random(10)).toString('hex'));
    expect(new Set(all).size).toBe(all.length);
  });

  it('passes on what is larger than the pool', () => {
    expect(poolRandom((size) => randomBytes(size))(10_000)).toHaveLength(10_000);
  });
});
