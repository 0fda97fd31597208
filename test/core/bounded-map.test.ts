import { expect, test } from 'vitest';
import { createBoundedMap } from '../../src/core/bounded-map.ts';

test('forgets what was put in first once it is full, and nothing for what it has already', () => {
  const map = createBoundedMap<number>(2);
  map.put('a', 1);
  map.put('b', 2);
  map.put('a', 3);
  expect([map.get('a'), map.get('b')]).toEqual([3, 2]);
  map.put('c', 4);
  expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([undefined, 2, 4]);
});
