import { integerFromBytes } from './big-integer.ts';

const P = 2n ** 255n - 19n;
const Y_MASK = 2n ** 255n - 1n;

/** y of two of the four points of order 8; the other two have its negative. */
const Y_OF_ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;

/** y of the eight points whose order divides the cofactor: orders 4, 1, 2 and 8, with either sign of x. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([0n, 1n, P - 1n, Y_OF_ORDER_8, P - Y_OF_ORDER_8]);

/**
 * Says what is wrong with an Ed25519 public key, or nothing (RFC 8032 §5.1.3, RFC 8410 §4). Anybody can make
 * signatures that verify under a key of small order, and libraries import such keys without a word.
 * It does not look whether y belongs to a point at all: no signature verifies under such a key.
 */
export function ed25519PointDefect(key: Uint8Array): string | undefined {
  if (key.length !== 32) return 'it is not 32 octets long';
  const y = integerFromBytes(key.toReversed()) & Y_MASK;
  // Some libraries reduce such a y, so that one key would have two encodings and two hashes.
  if (y >= P) return 'its y coordinate is not below 2^255 − 19';
  if (SMALL_ORDER_Y.has(y)) return 'it is a point of small order';
  return undefined;
}
