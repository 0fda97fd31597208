import { type KeyObject, verify } from 'node:crypto';
import { equalBytes } from '../core/bytes.ts';
import { SIGNATURE_DIGESTS, type SignatureAlgorithmName } from '../core/signature-algorithm.ts';
import { encode, sequence } from './der/encode.ts';
import { nullValue, oid } from './der/values.ts';

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
