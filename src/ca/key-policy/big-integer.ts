import { toHex } from '../../core/bytes.ts';

// Integers of public keys only: BigInt takes a time that depends on the numbers, so no secret may come here.

/** Reads an unsigned big-endian integer; no octets are 0. */
export function integerFromBytes(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

/** The length in bits of an unsigned big-endian integer, told from its octets without computing with them. */
export function bitLength(bytes: Uint8Array): number {
  const first = bytes.findIndex((octet) => octet !== 0);
  if (first < 0) return 0;
  return (bytes.length - first) * 8 - (Math.clz32(bytes[first] ?? 0) - 24);
}

/** The largest integer whose square is not above `n`, for `n` not negative (Newton, from above). */
export function isqrt(n: bigint): bigint {
  if (n < 2n) return n;
  // 16^digits > n, so this start is above the root, and Newton's steps fall until they reach it.
  let root = 1n << BigInt(n.toString(16).length * 2);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** The primes below `limit`, in order. */
export function primesBelow(limit: number): readonly number[] {
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}
