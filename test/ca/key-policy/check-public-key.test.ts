import { beforeAll, describe, expect, it } from 'vitest';
import type { KeyAlgorithm } from '../../../src/ca/key-policy/check-public-key.ts';
import { checkPublicKey } from '../../../src/ca/key-policy/check-public-key.ts';
import type { PublicKeyInfo } from '../../../src/x509/public-key.ts';
import type { RsaKey } from './sample-keys.ts';
import {
  opensslEcKey,
  opensslEd25519Key,
  opensslRsaKey,
  POLICY,
  randomPrime,
  refusal,
  rsaKey,
  toBytes,
} from './sample-keys.ts';

let openssl: Readonly<
  Record<'rsa1024' | 'rsa2047' | 'rsa2048' | 'rsa3072' | 'rsa4096' | 'exponent3', RsaKey>
>;

beforeAll(async () => {
  const [rsa4096, rsa3072, rsa2048, rsa2047, rsa1024, exponent3] = await Promise.all([
    opensslRsaKey(4096),
    opensslRsaKey(3072),
    opensslRsaKey(2048),
    opensslRsaKey(2047),
    opensslRsaKey(1024),
    opensslRsaKey(2048, 3),
  ]);
  openssl = { rsa1024, rsa2047, rsa2048, rsa3072, rsa4096, exponent3 };
}, 60_000);

describe('algorithms', () => {
  const makers: Readonly<Record<KeyAlgorithm, () => PublicKeyInfo | Promise<PublicKeyInfo>>> = {
    'ec-p256': () => opensslEcKey('P-256'),
    'ec-p384': () => opensslEcKey('P-384'),
    'ec-p521': () => opensslEcKey('P-521'),
    ed25519: opensslEd25519Key,
    rsa: () => openssl.rsa2048,
  };

  for (const algorithm of POLICY.allowed) {
    it(`accepts an OpenSSL key of ${algorithm}, and refuses it where the policy leaves it out`, async () => {
      const key = await makers[algorithm]();
      expect(checkPublicKey(key, { ...POLICY, allowed: [algorithm] })).toBeUndefined();
      const others = POLICY.allowed.filter((other) => other !== algorithm);
      expect(checkPublicKey(key, { ...POLICY, allowed: others })).toEqual({
        code: 'key-algorithm-not-allowed',
        detail: `keys of ${algorithm} are not taken here; make a new key of ${others.join(' or ')}`,
      });
    });
  }
});

describe('RSA sizes', () => {
  it.each(['rsa2048', 'rsa3072', 'rsa4096'] as const)('accepts %s', (name) => {
    expect(refusal(openssl[name])).toBeUndefined();
  });

  it.each(['rsa2047', 'rsa1024'] as const)('refuses %s', (name) => {
    expect(refusal(openssl[name])).toBe('key-too-small');
    expect(refusal(openssl[name], { minRsaBits: 1024 })).toBeUndefined();
  });

  it('refuses a good key above the largest size, before computing with it', () => {
    expect(refusal(openssl.rsa3072, { maxRsaBits: 3072 })).toBeUndefined();
    expect(refusal(openssl.rsa3072, { maxRsaBits: 3071 })).toBe('key-too-large');
    expect(refusal({ ...openssl.rsa3072, modulus: new Uint8Array(16384).fill(0xff) })).toBe('key-too-large');
  });

  it('measures the modulus itself: neither leading zeros nor a wrong size field make a key longer', () => {
    const short = openssl.rsa1024;
    const padded = Buffer.concat([Buffer.alloc(128), short.modulus]);
    expect(refusal({ ...short, bits: 2048, modulus: padded })).toBe('key-too-small');
    expect(refusal({ ...short, modulus: new Uint8Array(0) })).toBe('key-too-small');
  });
});

describe('RSA exponents', () => {
  const key = rsaKey(randomPrime(1024) * randomPrime(1024));

  it('accepts OpenSSL keys with 65537, and refuses them with 3', () => {
    expect(refusal(openssl.rsa2048)).toBeUndefined();
    expect(refusal(openssl.exponent3)).toBe('key-exponent');
  });

  it.each([
    ['0', 0n],
    ['1', 1n],
    ['17', 17n],
    ['65535', 65535n],
    ['65536, which is even', 65536n],
    ['65538, which is even', 65538n],
    ['2^256 + 1, which is too large', 2n ** 256n + 1n],
  ])('refuses an exponent of %s', (_, exponent) => {
    expect(refusal({ ...key, publicExponent: toBytes(exponent) })).toBe('key-exponent');
  });

  it.each([
    ['65537', 65537n],
    ['65539', 65539n],
    ['2^32 + 1', 2n ** 32n + 1n],
    ['2^256 − 1, the largest', 2n ** 256n - 1n],
  ])('accepts an exponent of %s', (_, exponent) => {
    expect(refusal({ ...key, publicExponent: toBytes(exponent) })).toBeUndefined();
  });

  it('refuses an exponent without octets, and one of 100 kilobytes', () => {
    expect(refusal({ ...key, publicExponent: new Uint8Array(0) })).toBe('key-exponent');
    expect(refusal({ ...key, publicExponent: new Uint8Array(100_000).fill(0xff) })).toBe('key-exponent');
  });
});
