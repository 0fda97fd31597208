import type { RandomBytes } from './random.ts';

const POOL_OCTETS = 4096;

/**
 * The same randomness, fetched in larger pieces: asking the operating system's generator for ten octets at a time costs
 * more than signing half a certificate. Each octet is handed out once and then overwritten in the pool.
 */
export function poolRandom(random: RandomBytes): RandomBytes {
  let pool: Uint8Array = new Uint8Array(0);
  let used = 0;
  return (size) => {
    if (size > POOL_OCTETS) return random(size);
    if (used + size > pool.length) {
      pool = random(POOL_OCTETS);
      used = 0;
    }
    // A copy: Buffer.slice would give a view, which the next line wipes.
    const octets = Uint8Array.from(pool.subarray(used, used + size));
    pool.fill(0, used, used + size);
    used += size;
    return octets;
  };
}
