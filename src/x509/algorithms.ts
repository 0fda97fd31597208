import { constants, type KeyObject, verify } from 'node:crypto';
import { equalBytes } from '../core/bytes.ts';
import { SIGNATURE_DIGESTS, type SignatureAlgorithmName } from '../core/signature-algorithm.ts';
import { type Der, encode, explicit, sequence } from './der/encode.ts';
import { integer, nullValue, oid } from './der/values.ts';

export interface SignatureAlgorithm {
  readonly name: SignatureAlgorithmName;
  /** The kind of key that it takes, as `PublicKeyInfo.kind`. */
  readonly keyKind: 'ec' | 'rsa' | 'ed25519';
  /** AlgorithmIdentifier, DER. */
  readonly der: Uint8Array;
}

/** ECDSA and Ed25519 identifiers have no parameters (RFC 5758 §3.2, RFC 8410 §3). */
function bare(id: string): Uint8Array {
  return encode(sequence(oid(id)));
}

/** RSA PKCS#1 v1.5 identifiers have NULL (RFC 4055 §5). */
function withNull(id: string): Uint8Array {
  return encode(sequence(oid(id), nullValue()));
}

const RSA_OIDS = {
  'rsa-sha256': '1.2.840.113549.1.1.11',
  'rsa-sha384': '1.2.840.113549.1.1.12',
  'rsa-sha512': '1.2.840.113549.1.1.13',
} as const;

export const SIGNATURE_ALGORITHMS: Readonly<Record<SignatureAlgorithmName, SignatureAlgorithm>> = {
  'ecdsa-sha256': { name: 'ecdsa-sha256', keyKind: 'ec', der: bare('1.2.840.10045.4.3.2') },
  'ecdsa-sha384': { name: 'ecdsa-sha384', keyKind: 'ec', der: bare('1.2.840.10045.4.3.3') },
  'ecdsa-sha512': { name: 'ecdsa-sha512', keyKind: 'ec', der: bare('1.2.840.10045.4.3.4') },
  ed25519: { name: 'ed25519', keyKind: 'ed25519', der: bare('1.3.101.112') },
  'rsa-sha256': { name: 'rsa-sha256', keyKind: 'rsa', der: withNull(RSA_OIDS['rsa-sha256']) },
  'rsa-sha384': { name: 'rsa-sha384', keyKind: 'rsa', der: withNull(RSA_OIDS['rsa-sha384']) },
  'rsa-sha512': { name: 'rsa-sha512', keyKind: 'rsa', der: withNull(RSA_OIDS['rsa-sha512']) },
};

const ACCEPTED: readonly { readonly der: Uint8Array; readonly algorithm: SignatureAlgorithm }[] = [
  ...Object.values(SIGNATURE_ALGORITHMS).map((algorithm) => ({ der: algorithm.der, algorithm })),
  // RFC 4055 §5: absent parameters must be accepted too where RSA identifiers are read.
  ...(['rsa-sha256', 'rsa-sha384', 'rsa-sha512'] as const).map((name) => ({
    der: bare(RSA_OIDS[name]),
    algorithm: SIGNATURE_ALGORITHMS[name],
  })),
];

/** The algorithm of a DER AlgorithmIdentifier; undefined for all that we do not take (SHA-1, MD5, DSA, odd parameters). */
export function findSignatureAlgorithm(algorithmIdentifier: Uint8Array): SignatureAlgorithm | undefined {
  return ACCEPTED.find(({ der }) => equalBytes(der, algorithmIdentifier))?.algorithm;
}

/** Whether the signature over the octets was made by the key's owner. ECDSA signatures are DER (RFC 5480 Appendix A). */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(SIGNATURE_DIGESTS[algorithm.name], signed, key, signature);
}

/** As `verifySignature`, on another thread: for octets whose hash takes long. */
export function verifySignatureLater(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(SIGNATURE_DIGESTS[algorithm.name], signed, key, signature, (error, verified) => {
      if (error) reject(error);
      else resolve(verified);
    });
  });
}

/** What nobody should sign with any more, by the name under which it can be allowed for old paths. */
export type WeakAlgorithmName = 'md5' | 'sha1' | 'dsa';

/** An algorithm that certificates and CRLs of others are signed with: wider than what our own authorities use. */
export interface VerifyingAlgorithm {
  /** As `PublicKeyInfo.kind`, or a kind that only others use. */
  readonly keyKind: 'ec' | 'rsa' | 'ed25519' | 'dsa' | 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';
  /** As node:crypto calls it; null: the algorithm hashes by itself. */
  readonly digest: string | null;
  /** RSASSA-PSS with MGF1 over the same digest and a salt of so many octets. */
  readonly pssSalt?: number;
  readonly weak: readonly WeakAlgorithmName[];
}

/** RSASSA-PSS in the three forms that RFC 4055 §3.1 leads to, with the digest thrice the same (RFC 8446 §4.2.3 too). */
function pss(hash: string, saltLength: number, hashParameters: readonly Der[]): Uint8Array {
  const digest = sequence(oid(hash), ...hashParameters);
  const mask = sequence(oid('1.2.840.113549.1.1.8'), digest);
  return encode(
    sequence(
      oid('1.2.840.113549.1.1.10'),
      sequence(explicit(0, digest), explicit(1, mask), explicit(2, integer(saltLength))),
    ),
  );
}

const PSS_DIGESTS = [
  ['sha256', '2.16.840.1.101.3.4.2.1', 32],
  ['sha384', '2.16.840.1.101.3.4.2.2', 48],
  ['sha512', '2.16.840.1.101.3.4.2.3', 64],
] as const;

const VERIFYING: readonly (readonly [Uint8Array, VerifyingAlgorithm])[] = [
  ...ACCEPTED.map(
    ({ der, algorithm: { name, keyKind } }) =>
      [der, { keyKind, digest: SIGNATURE_DIGESTS[name], weak: [] }] as const,
  ),
  ...PSS_DIGESTS.flatMap(([digest, hash, pssSalt]) =>
    [[nullValue()], []].map(
      (parameters) =>
        [pss(hash, pssSalt, parameters), { keyKind: 'rsa', digest, pssSalt, weak: [] }] as const,
    ),
  ),
  // RFC 9881 §2: pure ML-DSA, no parameters.
  ...([44, 65, 87] as const).map(
    (size, at) =>
      [
        bare(`2.16.840.1.101.3.4.3.${17 + at}`),
        { keyKind: `ml-dsa-${size}`, digest: null, weak: [] },
      ] as const,
  ),
  ...[withNull, bare].flatMap(
    (form) =>
      [
        [form('1.2.840.113549.1.1.5'), { keyKind: 'rsa', digest: 'sha1', weak: ['sha1'] }],
        [form('1.2.840.113549.1.1.4'), { keyKind: 'rsa', digest: 'md5', weak: ['md5'] }],
      ] as const,
  ),
  [bare('1.2.840.10045.4.1'), { keyKind: 'ec', digest: 'sha1', weak: ['sha1'] }] as const,
  [bare('1.2.840.10040.4.3'), { keyKind: 'dsa', digest: 'sha1', weak: ['dsa', 'sha1'] }] as const,
  [bare('2.16.840.1.101.3.4.3.2'), { keyKind: 'dsa', digest: 'sha256', weak: ['dsa'] }] as const,
];

/** The algorithm of a DER AlgorithmIdentifier among all that we can verify, the weak ones too; undefined for others. */
export function findVerifyingAlgorithm(algorithmIdentifier: Uint8Array): VerifyingAlgorithm | undefined {
  // A handful, the usual ones first: comparing is cheaper than making a key for a map.
  for (const [der, algorithm] of VERIFYING) if (equalBytes(der, algorithmIdentifier)) return algorithm;
  return undefined;
}

/** Whether the signature over the octets was made by the owner of the key, which must be of the algorithm's kind. */
export function verifyWith(
  { digest, pssSalt }: VerifyingAlgorithm,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (pssSalt === undefined) return verify(digest, signed, key, signature);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify(digest, signed, { key, padding, saltLength: pssSalt }, signature);
}

/** The same for octets of which there are many: they are hashed on another thread. */
export function verifyWithLater(
  { digest, pssSalt }: VerifyingAlgorithm,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const input =
    pssSalt === undefined ? key : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pssSalt };
  return new Promise((resolve, reject) => {
    verify(digest, signed, input, signature, (error, good) => (error ? reject(error) : resolve(good)));
  });
}
