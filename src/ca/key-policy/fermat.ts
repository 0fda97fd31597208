import { isqrt } from './big-integer.ts';

// 45045 = 3²·5·7·11·13: one number in 119 is a square modulo both, so few roots are taken.
const SQUARES_64 = squaresModulo(64);
const SQUARES_45045 = squaresModulo(45045);

/**
 * Tells whether Fermat's method factors the modulus within `rounds` rounds, because its two primes are close
 * (CVE-2022-26320; CA/Browser Forum BR 6.1.1.3 asks for 100 rounds).
 *
 * @param modulus odd and positive
 */
export function hasClosePrimes(modulus: bigint, rounds: number): boolean {
  // modulus = a² − b² = (a − b)(a + b): the closer the primes, the nearer is a to the modulus's root.
  const floor = isqrt(modulus);
  let a = floor * floor === modulus ? floor : floor + 1n;
  let bSquared = a * a - modulus;
  for (let round = 0; round < rounds; round++) {
    if (isSquare(bSquared)) return true;
    bSquared += (a << 1n) + 1n;
    a += 1n;
  }
  return false;
}

function isSquare(n: bigint): boolean {
  if (SQUARES_64[Number(BigInt.asUintN(6, n))] !== 1) return false;
  if (SQUARES_45045[Number(n % 45045n)] !== 1) return false;
  const root = isqrt(n);
  return root * root === n;
}

function squaresModulo(modulus: number): Uint8Array {
  const squares = new Uint8Array(modulus);
  for (let n = 0; n < modulus; n++) squares[(n * n) % modulus] = 1;
  return squares;
}
