import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitLength, integerFromBytes, isqrt, primesBelow } from '../../../src/ca/key-policy/big-integer.ts';

const natural = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 70n }), fc.bigInt({ min: 0n, max: 2n ** 4096n }));
const octets = fc.uint8Array({ maxLength: 600 });

describe('integerFromBytes', () => {
  it('reads octets in big-endian order', () => {
    fc.assert(
      fc.property(octets, (bytes) => {
        expect(integerFromBytes(bytes)).toBe(bytes.reduce((n, octet) => n * 256n + BigInt(octet), 0n));
      }),
    );
  });

  it('reads a view into a larger buffer as just that view', () => {
    expect(integerFromBytes(Uint8Array.of(9, 1, 2, 9).subarray(1, 3))).toBe(258n);
  });
});

describe('bitLength', () => {
  it('is the length of the number in base 2, and 0 for zero', () => {
    fc.assert(
      fc.property(octets, fc.nat(3), (bytes, zeros) => {
        const padded = Uint8Array.from([...new Uint8Array(zeros), ...bytes]);
        const n = integerFromBytes(bytes);
        expect(bitLength(padded)).toBe(n === 0n ? 0 : n.toString(2).length);
      }),
    );
  });
});

describe('isqrt', () => {
  it('gives r with r² ≤ n < (r + 1)²', () => {
    fc.assert(
      fc.property(natural, (n) => {
        const root = isqrt(n);
        expect(root * root <= n && n < (root + 1n) * (root + 1n)).toBe(true);
      }),
    );
  });

  it('is exact at squares and one below them', () => {
    fc.assert(
      fc.property(natural, (n) => {
        expect(isqrt(n * n)).toBe(n);
        if (n > 0n) expect(isqrt(n * n - 1n)).toBe(n - 1n);
      }),
    );
  });
});

describe('primesBelow', () => {
  it('leaves out its limit', () => {
    expect(primesBelow(11)).toEqual([2, 3, 5, 7]);
    expect(primesBelow(12)).toEqual([2, 3, 5, 7, 11]);
  });

  it('knows the 39 primes to 167 and the 133 below 752', () => {
    expect(primesBelow(168)).toHaveLength(39);
    expect(primesBelow(752)).toHaveLength(133);
    expect(primesBelow(752).at(-1)).toBe(751);
  });
});
