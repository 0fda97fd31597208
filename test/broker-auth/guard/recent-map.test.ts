import { expect, test } from 'vitest';
import { RecentMap } from '../../../src/broker-auth/guard/recent-map.ts';

const keysOf = (map: RecentMap<number>) => [...map.entries()].map(([key]) => key);

test('what is put last is there, and no more than may be', () => {
  const map = new RecentMap<number>(10);
  for (let n = 0; n < 100; n += 1) map.set(`k${n}`, n);
  for (let n = 95; n < 100; n += 1) expect(map.get(`k${n}`)).toBe(n);
  expect(map.get('k80')).toBeUndefined();
  expect(keysOf(map).length).toBeLessThanOrEqual(10);
});

test('what is asked for stays, and what is not goes', () => {
  const map = new RecentMap<number>(10);
  map.set('kept', 1);
  map.set('left', 2);
  for (let n = 0; n < 100; n += 1) {
    map.set(`k${n}`, n);
    map.get('kept');
  }
  expect([map.get('kept'), map.get('left')]).toEqual([1, undefined]);
});

test('a key is there once, with what was put last, or not at all when it was deleted', () => {
  const map = new RecentMap<number>(4);
  for (const n of [1, 2, 3]) map.set('a', n);
  map.set('b', 1);
  map.set('a', 4);
  expect(keysOf(map).toSorted()).toEqual(['a', 'b']);
  expect(map.get('a')).toBe(4);
  map.delete('a');
  expect([map.get('a'), keysOf(map)]).toEqual([undefined, ['b']]);
});
