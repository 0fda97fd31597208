import { checkPrimeSync as isPrime, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isqrt, primesBelow } from '../../../src/ca/key-policy/big-integer.ts';
import { checkPublicKey } from '../../../src/ca/key-policy/check-public-key.ts';
import { modPow, nextPrime, POLICY, randomPrime, refusal, rsaKey } from './sample-keys.ts';

const TOP = 3n << 1022n;

describe('good moduli', () => {
  it('never refuses the product of two random primes', () => {
    // No bias and no shrinking: fast-check would go for small numbers, and so for primes that are close.
    const start = fc.noShrink(fc.noBias(fc.bigInt({ min: TOP, max: 2n ** 1024n - 2n ** 16n })));
    fc.assert(
      fc.property(start, start, (p, q) => {
        expect(checkPublicKey(rsaKey(nextPrime(p) * nextPrime(q)), POLICY)).toBeUndefined();
      }),
      { numRuns: 5 },
    );
  });
});

describe('small factors', () => {
  const p = randomPrime(1024);
  const cofactor = randomPrime(1040);

  it('refuses a modulus with any prime factor below 752, and names it', () => {
    for (const prime of primesBelow(752)) {
      const finding = checkPublicKey(rsaKey(p * cofactor * BigInt(prime)), POLICY);
      expect(finding?.code).toBe('key-small-factor');
      expect(finding?.detail).toContain(`is divisible by ${prime},`);
    }
  });

  it('refuses an even modulus, and accepts its odd neighbour without the factor', () => {
    expect(refusal(rsaKey(p * cofactor * 2n))).toBe('key-small-factor');
    expect(refusal(rsaKey(p * cofactor))).toBeUndefined();
  });

  it('does not look for 757, the next prime', () => {
    expect(refusal(rsaKey(p * cofactor * 757n))).toBeUndefined();
  });
});

describe('close primes', () => {
  it('refuses a prime and the next one', () => {
    const p = randomPrime(1024);
    const finding = checkPublicKey(rsaKey(p * nextPrime(p + 2n)), POLICY);
    expect(finding?.code).toBe('key-fermat');
    expect(finding?.detail).not.toContain(p.toString());
  });

  it('refuses a square', () => {
    expect(refusal(rsaKey(randomPrime(1024) ** 2n))).toBe('key-fermat');
  });

  it('refuses primes that fall in the last round, and accepts them with one round less', () => {
    const p = randomPrime(1024);
    // b² ≈ 2·rounds·√n: this distance lets the search take some 60 rounds, and the exact number is computed.
    const q = nextPrime(p + 2n * isqrt(120n * p));
    const root = isqrt(p * q) + 1n;
    const rounds = Number((p + q) / 2n - root) + 1;
    expect(rounds).toBeGreaterThan(50);
    expect(rounds).toBeLessThan(70);
    expect(refusal(rsaKey(p * q))).toBe('key-fermat');
    expect(refusal(rsaKey(p * q), { fermatRounds: rounds })).toBe('key-fermat');
    expect(refusal(rsaKey(p * q), { fermatRounds: rounds - 1 })).toBeUndefined();
  });

  it('accepts primes too far apart for 100 rounds', () => {
    const p = randomPrime(1024);
    expect(refusal(rsaKey(p * nextPrime(p + 2n * isqrt(300n * p))))).toBeUndefined();
  });
});

describe('ROCA', () => {
  // Nemec et al., CCS 2017, §2: the last prime in M for each size of key.
  const CLASSES = [
    { bits: 1024, lastPrime: 353 },
    { bits: 2048, lastPrime: 701 },
  ];

  it.each(CLASSES)('refuses a key of $bits bits as the flawed library made them', ({ bits, lastPrime }) => {
    const [p, q] = [rocaPrime(bits / 2, lastPrime), rocaPrime(bits / 2, lastPrime)];
    const key = rsaKey(p * q);
    expect(key.bits).toBe(bits);
    expect(refusal(key, { minRsaBits: 1024 })).toBe('key-roca');
  });

  it('accepts a key of which only one prime has the structure', () => {
    expect(refusal(rsaKey(rocaPrime(1024, 701) * randomPrime(1024)))).toBeUndefined();
  });

  it('accepts a key that is a power of 65537 modulo each prime, but not the same power', () => {
    const primes = primesBelow(168).slice(1).map(BigInt);
    // 1 = 65537^0 modulo each but 5, and 2 = 65537^1 modulo 5: an odd and an even exponent.
    const product = primes.reduce((all, prime) => all * prime, 1n);
    const residue = crt(primes.map((prime) => ({ prime, residue: prime === 5n ? 2n : 1n })));
    const p = randomPrime(1024);
    const q = primeCongruentTo(residue * modPow(p, carmichael(primes) - 1n, product), product);
    expect((p * q) % product).toBe(residue);
    expect(refusal(rsaKey(p * q))).toBeUndefined();
    const together = primeCongruentTo(modPow(p, carmichael(primes) - 1n, product), product);
    expect(refusal(rsaKey(p * together))).toBe('key-roca');
  });
});

/** A prime of the form k·M + (65537^a mod M), with its two highest bits set. */
function rocaPrime(bits: number, lastPrime: number): bigint {
  const m = primesBelow(lastPrime + 1).reduce((product, prime) => product * BigInt(prime), 1n);
  const power = modPow(65537n, randomBits(bits), m);
  return primeCongruentTo(power, m, bits);
}

function primeCongruentTo(residue: bigint, modulus: bigint, bits = 1024): bigint {
  const lowest = 3n << BigInt(bits - 2);
  const room = (1n << BigInt(bits)) - lowest;
  for (;;) {
    const base = lowest + (randomBits(bits) % room);
    const candidate = base - (base % modulus) + (residue % modulus);
    if (candidate % 2n === 1n && isPrime(candidate)) return candidate;
  }
}

function randomBits(bits: number): bigint {
  return BigInt(`0x${randomBytes(bits / 8).toString('hex')}`);
}

/** The least number with these residues. */
function crt(congruences: readonly { readonly prime: bigint; readonly residue: bigint }[]): bigint {
  const product = congruences.reduce((all, { prime }) => all * prime, 1n);
  const sum = congruences.reduce((all, { prime, residue }) => {
    const others = product / prime;
    return all + residue * others * modPow(others, prime - 2n, prime);
  }, 0n);
  return sum % product;
}

/** A multiple of the order of every unit modulo the product of these primes. */
function carmichael(primes: readonly bigint[]): bigint {
  return primes.reduce((all, prime) => all * (prime - 1n), 1n);
}
