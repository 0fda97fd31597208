import { BirthmarkError } from '../../core/errors.ts';
import type { VerifyingAlgorithm, WeakAlgorithmName } from '../algorithms.ts';
import { encode, sequence } from '../der/encode.ts';
import { DerReader } from '../der/reader.ts';
import { oid } from '../der/values.ts';
import { parsePublicKey, splitPublicKey } from '../public-key.ts';

/** What weak things are taken all the same, for paths of another time. */
export interface WeakAllowance {
  readonly algorithms: ReadonlySet<WeakAlgorithmName>;
  readonly minimumRsaBits: number;
}

export const NO_WEAKNESS: WeakAllowance = { algorithms: new Set(), minimumRsaBits: 2048 };

export interface KeyStrength {
  readonly kind: VerifyingAlgorithm['keyKind'] | undefined;
  /** Of an RSA modulus; 0 for other keys. */
  readonly rsaBits: number;
  /** Of one verification with this key, see `PathLimits.maxSignatureCost`. */
  readonly cost: number;
  /** Why no signature of this key is ever taken. */
  readonly defect: string | undefined;
}

/** Measured on Node 24, import included: P-384 and P-521 have no fast code there. */
const EC_COST = { 'P-256': 1.5, 'P-384': 10, 'P-521': 20 } as const;
/** As in the key policy for our own certificates; beyond, a verification costs a millisecond. */
const MOST_RSA_BITS = 8192;
/** An exponent as long as the modulus makes a verification as slow as a signature. */
const MOST_EXPONENT_OCTETS = 4;

const DSA = '1.2.840.10040.4.1';
/** RFC 9881 §4: pure ML-DSA, parameters absent; octets of the key. */
const ML_DSA = [
  { kind: 'ml-dsa-44', algorithm: encode(sequence(oid('2.16.840.1.101.3.4.3.17'))), octets: 1312 },
  { kind: 'ml-dsa-65', algorithm: encode(sequence(oid('2.16.840.1.101.3.4.3.18'))), octets: 1952 },
  { kind: 'ml-dsa-87', algorithm: encode(sequence(oid('2.16.840.1.101.3.4.3.19'))), octets: 2592 },
] as const;

/** A P-256 key up to the 04 of its uncompressed point (RFC 5480 §2). */
const P256_HEADER = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const P256: KeyStrength = { kind: 'ec', rsaBits: 0, cost: EC_COST['P-256'], defect: undefined };

/** Whether it is that of an uncompressed point on P-256, by its header: cheaper than reading it. */
export function isP256Spki(spki: Uint8Array): boolean {
  if (spki.length !== P256_HEADER.length + 64) return false;
  for (let at = 0; at < P256_HEADER.length; at += 1) if (spki[at] !== P256_HEADER[at]) return false;
  return true;
}

/** What a SubjectPublicKeyInfo is worth. Whether a point lies on its curve is seen where the key is imported. */
export function readKeyStrength(spki: Uint8Array): KeyStrength {
  const unusable = (defect: string): KeyStrength => ({ kind: undefined, rsaBits: 0, cost: 0, defect });
  try {
    // What nearly every key is, seen by its header.
    if (isP256Spki(spki)) return P256;
    const { algorithm, key } = splitPublicKey(spki);
    const mlDsa = ML_DSA.find((one) => Buffer.compare(one.algorithm, algorithm) === 0);
    if (mlDsa) {
      if (key.length !== mlDsa.octets)
        return unusable(`its ${mlDsa.kind} key does not have ${mlDsa.octets} octets`);
      return { kind: mlDsa.kind, rsaBits: 0, cost: 4, defect: undefined };
    }
    if (new DerReader(algorithm).sequence('algorithm').oid('algorithm') === DSA)
      return { kind: 'dsa', rsaBits: 0, cost: 10, defect: undefined };
    const info = parsePublicKey(spki);
    switch (info.kind) {
      case 'ec':
        return { kind: 'ec', rsaBits: 0, cost: EC_COST[info.curve], defect: undefined };
      case 'ed25519':
        return { kind: 'ed25519', rsaBits: 0, cost: 2, defect: undefined };
      case 'rsa': {
        const exponent = info.publicExponent;
        const odd = ((exponent.at(-1) ?? 0) & 1) === 1 && (exponent.length > 1 || (exponent[0] ?? 0) > 1);
        if (!odd || exponent.length > MOST_EXPONENT_OCTETS)
          return unusable('its RSA exponent is even, 1, or longer than 32 bits');
        if (info.bits % 8 !== 0 || info.bits > MOST_RSA_BITS)
          return unusable(
            `its RSA modulus of ${info.bits} bits is above ${MOST_RSA_BITS} or no whole octets`,
          );
        return { kind: 'rsa', rsaBits: info.bits, cost: 1 + (info.bits / 2048) ** 2 / 4, defect: undefined };
      }
    }
  } catch (error) {
    if (error instanceof BirthmarkError) return unusable(error.message);
    throw error;
  }
}

/** Why a key is too weak, if it is. */
export function keyWeakness(
  { kind, rsaBits, defect }: KeyStrength,
  allowed: WeakAllowance,
): string | undefined {
  if (defect !== undefined) return defect;
  if (kind === 'rsa' && rsaBits < allowed.minimumRsaBits) return `its RSA key has ${rsaBits} bits only`;
  if (kind === 'dsa' && !allowed.algorithms.has('dsa')) return 'its key is for DSA';
  return undefined;
}
