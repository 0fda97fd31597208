import { TAG } from '../../../x509/der/tags.ts';
import { dottedOf, OID } from './oids.ts';
import type { Tlv } from './tlv.ts';

export interface AlgorithmView {
  readonly raw: Tlv;
  /** Dotted form. */
  readonly oid: string;
  readonly parameters: Tlv | undefined;
  /** It is an AlgorithmIdentifier: SEQUENCE { OBJECT IDENTIFIER, parameters OPTIONAL }. */
  readonly wellFormed: boolean;
}

/** Reads an AlgorithmIdentifier (RFC 5280 §4.1.1.2). */
export function readAlgorithm(raw: Tlv): AlgorithmView {
  const id = raw.tag === TAG.sequence ? raw.first : undefined;
  const parameters = id?.next;
  const wellFormed = id !== undefined && id.tag === TAG.oid && parameters?.next === undefined;
  return { raw, oid: dottedOf(id), parameters, wellFormed };
}

export interface SignatureSpec {
  readonly label: string;
  /** Which kind of key makes such signatures. */
  readonly keyKind: 'ec' | 'rsa' | 'ed25519' | 'ml-dsa';
  readonly hash: 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512' | undefined;
  /** What its parameters must be. */
  readonly parameters: 'absent' | 'null' | 'pss';
}

const ecdsa = (hash: 'sha1' | 'sha256' | 'sha384' | 'sha512'): SignatureSpec => ({
  label: `ECDSA with ${hash}`,
  keyKind: 'ec',
  hash,
  parameters: 'absent',
});
const rsa = (hash: 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'): SignatureSpec => ({
  label: `RSA with ${hash}`,
  keyKind: 'rsa',
  hash,
  parameters: 'null',
});
const bare = (label: string, keyKind: 'ed25519' | 'ml-dsa'): SignatureSpec => ({
  label,
  keyKind,
  hash: undefined,
  parameters: 'absent',
});

const SPECS = new Map<string, SignatureSpec>([
  [OID.sha256WithEcdsa, ecdsa('sha256')],
  [OID.sha384WithEcdsa, ecdsa('sha384')],
  [OID.sha512WithEcdsa, ecdsa('sha512')],
  [OID.sha1WithEcdsa, ecdsa('sha1')],
  [OID.sha256WithRsa, rsa('sha256')],
  [OID.sha384WithRsa, rsa('sha384')],
  [OID.sha512WithRsa, rsa('sha512')],
  [OID.sha1WithRsa, rsa('sha1')],
  [OID.md5WithRsa, rsa('md5')],
  [OID.rsaPss, { label: 'RSASSA-PSS', keyKind: 'rsa', hash: undefined, parameters: 'pss' }],
  [OID.ed25519, bare('Ed25519', 'ed25519')],
  [OID.mlDsa44, bare('ML-DSA-44', 'ml-dsa')],
  [OID.mlDsa65, bare('ML-DSA-65', 'ml-dsa')],
  [OID.mlDsa87, bare('ML-DSA-87', 'ml-dsa')],
]);

/** What the standards say of a signature algorithm; undefined for those that no rule knows. */
export function signatureSpec(algorithm: AlgorithmView): SignatureSpec | undefined {
  return SPECS.get(algorithm.oid);
}
