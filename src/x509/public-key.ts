import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { equalBytes, toBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { SIGNATURE_DIGESTS } from '../core/signature-algorithm.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { encode, sequence } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { nullValue, oid } from './der/values.ts';

export type CurveName = 'P-256' | 'P-384' | 'P-521';

export type PublicKeyInfo =
  | {
      readonly kind: 'rsa';
      readonly bits: number;
      /** Big-endian, no leading zero. */
      readonly modulus: Uint8Array;
      readonly publicExponent: Uint8Array;
    }
  /** Uncompressed point: 04 ‖ x ‖ y. */
  | { readonly kind: 'ec'; readonly curve: CurveName; readonly point: Uint8Array }
  | { readonly kind: 'ed25519'; readonly key: Uint8Array };

const EC_KEY = '1.2.840.10045.2.1';
const CURVES: readonly { readonly name: CurveName; readonly size: number; readonly algorithm: Uint8Array }[] =
  [
    { name: 'P-256', size: 32, algorithm: encode(sequence(oid(EC_KEY), oid('1.2.840.10045.3.1.7'))) },
    { name: 'P-384', size: 48, algorithm: encode(sequence(oid(EC_KEY), oid('1.3.132.0.34'))) },
    { name: 'P-521', size: 66, algorithm: encode(sequence(oid(EC_KEY), oid('1.3.132.0.35'))) },
  ];
const RSA = encode(sequence(oid('1.2.840.113549.1.1.1'), nullValue()));
const ED25519 = encode(sequence(oid('1.3.101.112')));

/**
 * Reads a DER SubjectPublicKeyInfo. Named curves and uncompressed points only (RFC 5480 §2.1.1, §2.2),
 * RSA with NULL parameters (RFC 3279 §2.3.1), Ed25519 without (RFC 8410 §3).
 *
 * @throws BirthmarkError `bad-der`, `key-algorithm-not-allowed`, `key-unreadable`
 */
export function parsePublicKey(spki: Uint8Array): PublicKeyInfo {
  const { algorithm, key } = splitPublicKey(spki);
  for (const curve of CURVES) {
    if (!equalBytes(algorithm, curve.algorithm)) continue;
    if (key.length !== 1 + 2 * curve.size || key[0] !== 0x04) {
      throw new BirthmarkError(
        'key-unreadable',
        `the key is not an uncompressed ${curve.name} point of ${1 + 2 * curve.size} octets`,
      );
    }
    return { kind: 'ec', curve: curve.name, point: key };
  }
  if (equalBytes(algorithm, RSA)) return parseRsaKey(key);
  if (equalBytes(algorithm, ED25519)) {
    if (key.length !== 32)
      throw new BirthmarkError('key-unreadable', 'the Ed25519 key does not have 32 octets');
    return { kind: 'ed25519', key };
  }
  throw new BirthmarkError(
    'key-algorithm-not-allowed',
    `the key is of algorithm ${describeAlgorithm(algorithm)}; make one on P-256, P-384 or P-521 (named curve), Ed25519, or RSA`,
  );
}

/**
 * The two parts of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), whatever its algorithm is: AlgorithmIdentifier, DER, and
 * the BIT STRING's octets.
 *
 * @throws BirthmarkError `bad-der`
 */
export function splitPublicKey(spki: Uint8Array): {
  readonly algorithm: Uint8Array;
  readonly key: Uint8Array;
} {
  const outer = new DerReader(spki);
  const fields = outer.sequence('subjectPublicKeyInfo');
  outer.finish('subjectPublicKeyInfo');
  const algorithm = fields.raw('subjectPublicKeyInfo.algorithm', TAG.sequence);
  const key = fields.octetsOfBitString('subjectPublicKey');
  fields.finish('subjectPublicKeyInfo');
  return { algorithm, key };
}

/** RSAPublicKey of RFC 8017 §A.1.1. */
function parseRsaKey(der: Uint8Array): PublicKeyInfo {
  const outer = new DerReader(der);
  const fields = outer.sequence('RSAPublicKey');
  outer.finish('RSAPublicKey');
  const modulus = fields.positiveInteger('modulus');
  const publicExponent = fields.positiveInteger('publicExponent');
  fields.finish('RSAPublicKey');
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  return { kind: 'rsa', bits, modulus, publicExponent };
}

function describeAlgorithm(algorithm: Uint8Array): string {
  const fields = new DerReader(algorithm).sequence('algorithm');
  const id = fields.oid('algorithm');
  return fields.nextTag === TAG.oid ? `${id} with ${fields.oid('parameters')}` : id;
}

/**
 * Imports a SubjectPublicKeyInfo, which `parsePublicKey` has read before, into node:crypto. That proves that an EC
 * point is on its curve.
 *
 * @throws BirthmarkError `key-unreadable`
 */
export function importPublicKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey(keyText(spki));
  } catch (cause) {
    throw unreadable(cause);
  }
}

/**
 * As `verifySignature`, with a key that is used this once: it is imported and verified with in one call, which spares a
 * KeyObject and its collection.
 *
 * @param spki SubjectPublicKeyInfo, DER, which `parsePublicKey` has read before
 * @throws BirthmarkError `key-unreadable`
 */
export function verifyOnce(
  algorithm: SignatureAlgorithm,
  spki: Uint8Array,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verify(SIGNATURE_DIGESTS[algorithm.name], signed, keyText(spki), signature);
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** As text, because Node 24 takes 40 µs to import this and 100 µs to import the same key as DER or JWK. */
function keyText(spki: Uint8Array): string {
  return `-----BEGIN PUBLIC KEY-----\n${toBase64(spki)}\n-----END PUBLIC KEY-----`;
}

function unreadable(cause: unknown): BirthmarkError {
  return new BirthmarkError('key-unreadable', 'the public key is not a valid key of its algorithm', {
    cause,
  });
}

/** SHA-256 of the DER SubjectPublicKeyInfo: how the ledger names a key. */
export function hashKey(spki: Uint8Array): Buffer {
  // The detour over text takes a third of the time that Node takes to make a Buffer of a digest.
  return Buffer.from(hash('sha256', spki, 'hex'), 'hex');
}

/**
 * Key identifier, method 1 of RFC 5280 §4.2.1.2: SHA-1 of the BIT STRING's octets.
 *
 * @throws BirthmarkError `bad-der`
 */
export function keyIdentifier(spki: Uint8Array): Buffer {
  return hash('sha1', splitPublicKey(spki).key, 'buffer');
}
