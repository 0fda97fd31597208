// CSRs whose owner has the key, and whose key is bad.
import {
  checkPrimeSync,
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { SIGNATURE_ALGORITHMS } from '../../src/x509/algorithms.ts';
import { assembleSigned } from '../../src/x509/certificate.ts';
import { encode, sequence } from '../../src/x509/der/encode.ts';
import { bitString, nullValue, oid, unsigned } from '../../src/x509/der/values.ts';
import { modPow, nextPrime, randomPrime, toBytes } from '../ca/key-policy/sample-keys.ts';
import { newCsr, newKey } from '../house.ts';
import type { SampleKey } from '../x509/samples.ts';

function sample(
  privateKey: KeyObject,
  algorithm: keyof typeof SIGNATURE_ALGORITHMS = 'rsa-sha256',
): SampleKey {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { privateKey, spki, algorithm: SIGNATURE_ALGORITHMS[algorithm] };
}

/** By the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [r, next, x, nextX] = [modulus, value % modulus, 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [x, nextX] = [nextX, x - quotient * nextX];
  }
  return ((x % modulus) + modulus) % modulus;
}

function rsaKeyOf(p: bigint, q: bigint, e = 65537n): SampleKey {
  const d = inverse(e, (p - 1n) * (q - 1n));
  const text = (value: bigint) => toBytes(value).toString('base64url');
  return sample(
    createPrivateKey({
      key: {
        kty: 'RSA',
        n: text(p * q),
        e: text(e),
        d: text(d),
        p: text(p),
        q: text(q),
        dp: text(d % (p - 1n)),
        dq: text(d % (q - 1n)),
        qi: text(inverse(q, p)),
      },
      format: 'jwk',
    }),
  );
}

/** A prime of the form that Infineon's library made (CVE-2017-15361), of some 1024 bits. */
function rocaPrime(): bigint {
  let primorial = 1n;
  for (let prime = 2n, found = 0; found < 126; prime = nextPrime(prime === 2n ? 3n : prime + 2n), found += 1)
    primorial *= prime;
  const start = modPow(65537n, randomPrime(64), primorial);
  const factor = randomPrime(1024 - primorial.toString(2).length);
  for (let k = factor; ; k += 1n) {
    const candidate = k * primorial + start;
    if (checkPrimeSync(candidate)) return candidate;
  }
}

function closePrimes(): [bigint, bigint] {
  const p = randomPrime(1024);
  return [p, nextPrime(p + 2n)];
}

/** An SPKI whose key nobody has, in a CSR signed by another one. */
function forged(spki: Uint8Array, key: SampleKey = newKey()): Buffer {
  return newCsr({ ...key, spki: Buffer.from(spki) });
}

function rsaSpki(modulus: bigint, exponent: bigint): Buffer {
  const key = encode(sequence(unsigned(toBytes(modulus)), unsigned(toBytes(exponent))));
  return encode(sequence(sequence(oid('1.2.840.113549.1.1.1'), nullValue()), bitString(key)));
}

function ecSpki(curve: string, point: Uint8Array): Buffer {
  return encode(sequence(sequence(oid('1.2.840.10045.2.1'), oid(curve)), bitString(point)));
}

const P256 = '1.2.840.10045.3.1.7';

/** A good CSR signed with SHA-1. */
function sha1Csr(): Buffer {
  const key = rsa(2048);
  const csr = newCsr(key);
  const info = csr.subarray(4, 4 + 4 + csr.readUInt16BE(6));
  const signature = createSign('sha1').update(info).sign(key.privateKey);
  return assembleSigned(info, encode(sequence(oid('1.2.840.113549.1.1.5'), nullValue())), signature);
}

function rsa(bits: number, publicExponent = 65537): SampleKey {
  return sample(generateKeyPairSync('rsa', { modulusLength: bits, publicExponent }).privateKey);
}

function secp256k1(): SampleKey {
  return sample(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, 'ecdsa-sha256');
}

/** A CSR that is refused, by the code of the refusal. */
export function weakCsrs(): readonly (readonly [what: string, csr: () => Buffer, code: string])[] {
  return [
    ['RSA of 1024 bits', () => newCsr(rsa(1024)), 'key-too-small'],
    ['RSA of 4104 bits, unproven', () => forged(rsaSpki((1n << 4103n) + 1n, 65537n)), 'key-too-large'],
    ['RSA with exponent 3', () => newCsr(rsa(2048, 3)), 'key-exponent'],
    ['RSA with a small factor', () => newCsr(rsaKeyOf(randomPrime(2040), 751n)), 'key-small-factor'],
    ['RSA with close primes', () => newCsr(rsaKeyOf(...closePrimes())), 'key-fermat'],
    ['RSA of the ROCA form', () => newCsr(rsaKeyOf(rocaPrime(), rocaPrime())), 'key-roca'],
    [
      'a point off the curve',
      () => forged(ecSpki(P256, Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]))),
      'key-point-invalid',
    ],
    ['a compressed point', () => forged(ecSpki(P256, Buffer.alloc(33, 2))), 'key-unreadable'],
    ['a curve that is not taken', () => newCsr(secp256k1()), 'key-algorithm-not-allowed'],
    ['P-521, which no default profile takes', () => newCsr(newKey('P-521')), 'key-algorithm-not-allowed'],
    ['a signature with SHA-1', sha1Csr, 'signature-algorithm-not-allowed'],
    ["somebody else's key", () => forged(newKey().spki), 'proof-of-possession-failed'],
    [
      'a key of another kind than the signature',
      () => forged(newKey('Ed25519').spki),
      'proof-of-possession-failed',
    ],
    ['an octet behind it', () => Buffer.concat([newCsr(), Buffer.of(0)]), 'bad-der'],
    ['half of it', () => newCsr().subarray(0, 100), 'bad-der'],
    ['more than 16 KiB', () => Buffer.concat([newCsr(), Buffer.alloc(16 * 1024)]), 'bad-csr'],
  ];
}
