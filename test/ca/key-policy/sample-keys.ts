import { execFile } from 'node:child_process';
import { checkPrimeSync, createPublicKey, generatePrimeSync } from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyFinding, KeyPolicy } from '../../../src/ca/key-policy/check-public-key.ts';
import { checkPublicKey } from '../../../src/ca/key-policy/check-public-key.ts';
import type { PublicKeyInfo } from '../../../src/x509/public-key.ts';

const run = promisify(execFile);

export type RsaKey = Extract<PublicKeyInfo, { kind: 'rsa' }>;
export type EcKey = Extract<PublicKeyInfo, { kind: 'ec' }>;
export type Ed25519Key = Extract<PublicKeyInfo, { kind: 'ed25519' }>;
export type Curve = EcKey['curve'];

export const POLICY: KeyPolicy = {
  allowed: ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa'],
  minRsaBits: 2048,
  maxRsaBits: 8192,
  fermatRounds: 100,
};

/** The code under the usual policy, or undefined for a good key. */
export function refusal(key: PublicKeyInfo, policy: Partial<KeyPolicy> = {}): KeyFinding['code'] | undefined {
  return checkPublicKey(key, { ...POLICY, ...policy })?.code;
}

/** Makes a key with `openssl genpkey` and reads its public half by other means than our own parser. */
async function opensslKey(algorithm: string, ...options: readonly string[]): Promise<PublicKeyInfo> {
  const pkeyopts = options.flatMap((option) => ['-pkeyopt', option]);
  const { stdout } = await run('openssl', ['genpkey', '-algorithm', algorithm, ...pkeyopts]);
  const jwk = createPublicKey(stdout).export({ format: 'jwk' });
  if (jwk.kty === 'RSA') return rsaKey(fromBase64Url(jwk.n), fromBase64Url(jwk.e));
  if (jwk.kty === 'OKP') return { kind: 'ed25519', key: Buffer.from(jwk.x ?? '', 'base64url') };
  const point = Buffer.concat([
    Buffer.of(4),
    ...[jwk.x, jwk.y].map((part) => Buffer.from(part ?? '', 'base64url')),
  ]);
  return { kind: 'ec', curve: curveOf(jwk.crv), point };
}

export async function opensslRsaKey(bits: number, exponent = 65537): Promise<RsaKey> {
  const key = await opensslKey('RSA', `rsa_keygen_bits:${bits}`, `rsa_keygen_pubexp:${exponent}`);
  if (key.kind !== 'rsa') throw new Error('openssl did not make an RSA key');
  return key;
}

export async function opensslEcKey(curve: Curve): Promise<EcKey> {
  const key = await opensslKey('EC', `ec_paramgen_curve:${curve}`);
  if (key.kind !== 'ec') throw new Error('openssl did not make an EC key');
  return key;
}

export async function opensslEd25519Key(): Promise<Ed25519Key> {
  const key = await opensslKey('ED25519');
  if (key.kind !== 'ed25519') throw new Error('openssl did not make an Ed25519 key');
  return key;
}

export function rsaKey(modulus: bigint, exponent = 65537n): RsaKey {
  return {
    kind: 'rsa',
    bits: modulus.toString(2).length,
    modulus: toBytes(modulus),
    publicExponent: toBytes(exponent),
  };
}

/** A random prime with its two highest bits set, so that the product of two has twice as many bits. */
export function randomPrime(bits: number): bigint {
  return generatePrimeSync(bits, { bigint: true });
}

export function nextPrime(start: bigint): bigint {
  for (let candidate = start | 1n; ; candidate += 2n) {
    if (checkPrimeSync(candidate)) return candidate;
  }
}

export function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

export function toBytes(n: bigint, octets = 0): Buffer {
  const hex = n.toString(16);
  return Buffer.from(hex.padStart(Math.max(hex.length + (hex.length % 2), 2 * octets), '0'), 'hex');
}

function fromBase64Url(text: string | undefined): bigint {
  return BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`);
}

function curveOf(name: string | undefined): Curve {
  if (name === 'P-256' || name === 'P-384' || name === 'P-521') return name;
  throw new Error(`openssl made a key on ${name}`);
}
