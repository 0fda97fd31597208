import type { CurveName } from '../../x509/public-key.ts';
import { integerFromBytes } from './big-integer.ts';

/** A curve y² = x³ − 3x + b over the integers modulo p, with coordinates of `octets` octets. */
interface Curve {
  readonly p: bigint;
  readonly b: bigint;
  readonly octets: number;
}

// NIST SP 800-186 §3.2.1.3 to §3.2.1.5.
const CURVES: Readonly<Record<CurveName, Curve>> = {
  'P-256': {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    octets: 32,
  },
  'P-384': {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    octets: 48,
  },
  'P-521': {
    p: 2n ** 521n - 1n,
    b: 0x51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    octets: 66,
  },
};

/**
 * Says what is wrong with an uncompressed point (04 ‖ x ‖ y), or nothing if it is a point of the curve
 * (SEC 1 §3.2.2.1; NIST SP 800-56A rev. 3 §5.6.2.3.3). The cofactor is 1, so each point but the one at infinity
 * has the full order. Coordinates are public: nothing here needs a constant time.
 */
export function ecPointDefect(curve: CurveName, point: Uint8Array): string | undefined {
  const { p, b, octets } = CURVES[curve];
  if (point.length === 1 && point[0] === 0) return 'it is the point at infinity';
  if (point[0] !== 4 || point.length !== 1 + 2 * octets) {
    return `it is not the uncompressed form of RFC 5480 §2.2, 04 and two coordinates of ${octets} octets`;
  }
  const x = integerFromBytes(point.subarray(1, 1 + octets));
  const y = integerFromBytes(point.subarray(1 + octets));
  if (x === 0n && y === 0n) return 'it is all zeros';
  if (x >= p || y >= p) return 'a coordinate is not below the prime of the curve';
  if ((y * y - (x * x * x - 3n * x + b)) % p !== 0n) return 'it does not satisfy the equation of the curve';
  return undefined;
}
