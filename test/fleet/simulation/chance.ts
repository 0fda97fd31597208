/** Chance that is the same in each run: mulberry32, which is plenty for faults and no good for keys. */
export interface Chance {
  /** From 0 up to, and without, 1. */
  next(): number;
  happens(probability: number): boolean;
  between(least: number, most: number): number;
  pick<T>(items: readonly [T, ...T[]]): T;
}

export function seededChance(seed: number): Chance {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    happens: (probability) => next() < probability,
    between: (least, most) => least + next() * (most - least),
    pick: (items) => items[Math.floor(next() * items.length)] ?? items[0],
  };
}
