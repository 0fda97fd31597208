import { hash } from 'node:crypto';
import { encode, sequence } from './der/encode.ts';
import { nullValue, octetString, oid } from './der/values.ts';
import { splitPublicKey } from './public-key.ts';

/** The hashes by which a CertID may name its issuer: what everybody sends, and what RFC 9919 asks for. */
const HASHES = [
  ['sha1', '1.3.14.3.2.26'],
  ['sha256', '2.16.840.1.101.3.4.2.1'],
] as const;

export type CertIdHash = (typeof HASHES)[number][0];

export interface CertIdIssuer {
  /** The authority's subject, DER. */
  readonly name: Uint8Array;
  /** Its SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
}

/**
 * What a CertID says of the issuer, which is all of it but the serial number (RFC 6960 §4.1.1): the AlgorithmIdentifier,
 * the hash of the name, and the hash of the key's octets (neither tag, length nor unused bits).
 */
export function certIdIssuer(
  { name, spki }: CertIdIssuer,
  digest: CertIdHash,
  parameters: 'null' | 'absent',
): Buffer {
  const id = HASHES.find(([known]) => known === digest)?.[1] ?? '';
  return Buffer.concat([
    encode(parameters === 'null' ? sequence(oid(id), nullValue()) : sequence(oid(id))),
    encode(octetString(hash(digest, name, 'buffer'))),
    encode(octetString(hash(digest, splitPublicKey(spki).key, 'buffer'))),
  ]);
}

/** The four ways in which requests name one authority. */
export function certIdIssuers(
  issuer: CertIdIssuer,
): readonly { readonly digest: CertIdHash; readonly octets: Buffer }[] {
  return HASHES.flatMap(([digest]) =>
    (['null', 'absent'] as const).map((parameters) => ({
      digest,
      octets: certIdIssuer(issuer, digest, parameters),
    })),
  );
}
