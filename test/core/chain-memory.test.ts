import { expect, test } from 'vitest';
import { createChainMemory } from '../../src/core/chain-memory.ts';

const leaf = (at: number) => Buffer.from(`leaf ${at}`);
const chain = (octets: number) => [Buffer.alloc(octets, 'x')];

test('what was remembered is recalled, the latest of it', () => {
  const memory = createChainMemory();
  expect(memory.recall(leaf(1))).toEqual([]);
  memory.remember(leaf(1), chain(3));
  memory.remember(leaf(1), chain(5));
  expect(memory.recall(leaf(1))).toEqual(chain(5));
  memory.remember(leaf(1), []);
  expect(memory.recall(leaf(1))).toEqual([]);
});

test.each([
  ['10,000 chains', 10_000, 700],
  ['16 MiB of chains', 256, 64 * 1024],
])('no more than %s are kept; those used longest ago go first', (_title, most, octets) => {
  const memory = createChainMemory();
  for (let at = 0; at < most; at += 1) memory.remember(leaf(at), chain(octets));
  expect(memory.recall(leaf(0))).toHaveLength(1);
  memory.remember(leaf(most), chain(octets));
  expect([0, 1, 2, most].map((at) => memory.recall(leaf(at)).length)).toEqual([1, 0, 1, 1]);
});
