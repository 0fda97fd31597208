import { TAG } from '../../../x509/der/tags.ts';
import { type AlgorithmView, readAlgorithm } from './algorithm.ts';
import type { DerFaults } from './der-faults.ts';
import { dottedOf, OID } from './oids.ts';
import { lengthOf, readTlv, type Tlv } from './tlv.ts';

export type CurveName = 'P-256' | 'P-384' | 'P-521';

export interface KeyView {
  /** SubjectPublicKeyInfo. */
  readonly raw: Tlv;
  readonly algorithm: AlgorithmView;
  readonly kind: 'ec' | 'rsa' | 'ed25519' | 'ml-dsa' | 'unknown';
  /** `P-256`, `RSA-2048`, `Ed25519`, … */
  readonly label: string;
  /** The BIT STRING; its first content octet counts the unused bits. */
  readonly publicKey: Tlv | undefined;
  /** Octets that a key of this algorithm has; undefined where that varies or is not known. */
  readonly expectedLength: number | undefined;
  /** Curve of an EC key, where it is a named one that we take. */
  readonly curve: CurveName | undefined;
  /** Modulus and exponent of an RSA key, both INTEGER. */
  readonly modulus: Tlv | undefined;
  readonly publicExponent: Tlv | undefined;
  /** What the syntax breaks. */
  readonly fault: string | undefined;
}

const CURVES = new Map<string, { readonly name: CurveName; readonly length: number }>([
  [OID.p256, { name: 'P-256', length: 65 }],
  [OID.p384, { name: 'P-384', length: 97 }],
  [OID.p521, { name: 'P-521', length: 133 }],
]);

/** Keys whose octets are the BIT STRING's, without structure. */
const PLAIN = new Map<
  string,
  { readonly kind: 'ed25519' | 'ml-dsa'; readonly label: string; readonly length: number }
>([
  [OID.ed25519, { kind: 'ed25519', label: 'Ed25519', length: 32 }],
  [OID.mlDsa44, { kind: 'ml-dsa', label: 'ML-DSA-44', length: 1312 }],
  [OID.mlDsa65, { kind: 'ml-dsa', label: 'ML-DSA-65', length: 1952 }],
  [OID.mlDsa87, { kind: 'ml-dsa', label: 'ML-DSA-87', length: 2592 }],
]);

/** Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). */
export function readKey(raw: Tlv, faults: DerFaults): KeyView {
  const algorithm = readAlgorithm(raw.first ?? raw);
  const publicKey = raw.first?.next;
  const sound =
    raw.tag === TAG.sequence &&
    algorithm.wellFormed &&
    publicKey !== undefined &&
    publicKey.tag === TAG.bitString &&
    publicKey.bytes[publicKey.content] === 0 &&
    publicKey.next === undefined;
  const base: KeyView = {
    raw,
    algorithm,
    kind: 'unknown',
    label: algorithm.oid,
    publicKey: sound ? publicKey : undefined,
    expectedLength: undefined,
    curve: undefined,
    modulus: undefined,
    publicExponent: undefined,
    fault: sound ? undefined : 'it is not SEQUENCE { algorithm, BIT STRING of whole octets }',
  };
  if (!sound) return base;
  if (algorithm.oid === OID.ecPublicKey) return readEcKey(base, algorithm);
  if (algorithm.oid === OID.rsaEncryption || algorithm.oid === OID.rsaPss)
    return readRsaKey(base, publicKey, faults);
  const plain = PLAIN.get(algorithm.oid);
  return plain === undefined
    ? base
    : { ...base, kind: plain.kind, label: plain.label, expectedLength: plain.length };
}

function readEcKey(base: KeyView, { parameters }: AlgorithmView): KeyView {
  const named = dottedOf(parameters);
  const curve = CURVES.get(named);
  return {
    ...base,
    kind: 'ec',
    label: curve?.name ?? `EC on ${named}`,
    expectedLength: curve?.length,
    curve: curve?.name,
  };
}

/** RSAPublicKey of RFC 8017 §A.1.1. */
function readRsaKey(base: KeyView, publicKey: Tlv, faults: DerFaults): KeyView {
  const fields = readTlv(publicKey.bytes, publicKey.content + 1, publicKey.end, faults);
  const modulus = fields?.first;
  const publicExponent = modulus?.next;
  const sound =
    fields?.tag === TAG.sequence &&
    modulus?.tag === TAG.integer &&
    publicExponent?.tag === TAG.integer &&
    publicExponent.next === undefined &&
    isPositive(modulus) &&
    isPositive(publicExponent);
  if (!sound)
    return {
      ...base,
      kind: 'rsa',
      label: 'RSA',
      fault: 'the RSA key is not SEQUENCE { modulus, publicExponent }, both positive',
    };
  return { ...base, kind: 'rsa', label: `RSA-${bitLength(modulus)}`, modulus, publicExponent };
}

/** Whether an INTEGER is above zero. */
export function isPositive(integer: Tlv): boolean {
  const first = integer.bytes[integer.content] ?? 0;
  return lengthOf(integer) > 0 && first < 0x80 && (first !== 0 || lengthOf(integer) > 1);
}

/** Number of bits of a positive INTEGER. */
export function bitLength(integer: Tlv): number {
  let at = integer.content;
  while (at < integer.end && integer.bytes[at] === 0) at += 1;
  return at === integer.end ? 0 : (integer.end - at) * 8 - (Math.clz32(integer.bytes[at] ?? 0) - 24);
}
