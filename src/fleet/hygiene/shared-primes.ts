import { breathe } from '../../core/breathe.ts';

// Moduli of public keys only: BigInt takes a time that depends on the numbers, so no secret may come here.

/** Moduli whose product is one number: large enough that products are worth it, small enough that each step is some milliseconds. */
const GROUP = 128;

/**
 * Finds the moduli that share a prime with another one: keys made by devices that had no entropy yet at their first start.
 * Bernstein's batch gcd, in groups, so that no step of it holds others up: for each group, the product of all others modulo
 * the group's product goes down a remainder tree.
 *
 * Source: Heninger, Durumeric, Wustrow, Halderman, "Mining Your Ps and Qs", USENIX Security 2012, §3.2.
 *
 * @returns places in the list
 */
export async function findSharedPrimes(moduli: readonly bigint[]): Promise<readonly number[]> {
  const groups: bigint[][] = [];
  for (let at = 0; at < moduli.length; at += GROUP) groups.push(moduli.slice(at, at + GROUP));
  const trees: bigint[][][] = [];
  for (const group of groups) {
    trees.push(productTree(group));
    await breathe();
  }
  const found: number[] = [];
  for (const [at, tree] of trees.entries()) {
    const product = rootOf(tree);
    let others = 1n;
    for (const [other, { length }] of groups.entries()) {
      if (other === at || length === 0) continue;
      others = (others * (rootOf(trees[other] ?? []) % product)) % product;
      await breathe();
    }
    // What the product of all others is modulo each modulus, and that of its own group without itself.
    const outside = remainders(others, tree, (n) => n);
    const inside = remainders(product, tree, (n) => n * n);
    await breathe();
    for (const [place, modulus] of (groups[at] ?? []).entries()) {
      const rest = (((inside[place] ?? 0n) / modulus) * (outside[place] ?? 1n)) % modulus;
      if (gcd(modulus, rest) !== 1n) found.push(at * GROUP + place);
      if (place % 16 === 15) await breathe();
    }
  }
  return found;
}

/** The numbers, the products of two of them each, of four, and so on; the last level has one. */
function productTree(numbers: readonly bigint[]): bigint[][] {
  const levels: bigint[][] = [[...numbers]];
  for (let level = numbers; level.length > 1; ) {
    const next: bigint[] = [];
    for (let at = 0; at < level.length; at += 2) next.push((level[at] ?? 1n) * (level[at + 1] ?? 1n));
    levels.push(next);
    level = next;
  }
  return levels;
}

/** `value` modulo `of` each number of the tree's first level. */
function remainders(
  value: bigint,
  tree: readonly (readonly bigint[])[],
  of: (node: bigint) => bigint,
): readonly bigint[] {
  let level: readonly bigint[] = [value % of(rootOf(tree))];
  for (const nodes of tree.slice(0, -1).reverse())
    level = nodes.map((node, at) => (level[at >> 1] ?? 0n) % of(node));
  return level;
}

function rootOf(tree: readonly (readonly bigint[])[]): bigint {
  return tree.at(-1)?.[0] ?? 1n;
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
