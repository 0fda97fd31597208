import { asBuffer } from '../../../core/bytes.ts';
import { TAG } from '../../../x509/der/tags.ts';
import { type AlgorithmView, readAlgorithm } from './algorithm.ts';
import { type DerFaults, report } from './der-faults.ts';
import { type ExtensionsView, readExtensions } from './extensions.ts';
import { type KeyView, readKey } from './key.ts';
import { type NameView, readName } from './name.ts';
import { readTime, type TimeView } from './time.ts';
import { lengthOf, readTlv, sameEncoding, type Tlv } from './tlv.ts';

/** What stands around a tbsCertificate in a Certificate. */
export interface SignatureView {
  readonly algorithm: AlgorithmView;
  /** BIT STRING; its first content octet counts the unused bits. */
  readonly value: Tlv;
}

/** A certificate, or one that is to be signed, read once for all rules. */
export interface CertificateView extends ExtensionsView, Surroundings {
  readonly faults: DerFaults;
  /** tbsCertificate, whole. */
  readonly tbs: Tlv;
  /** 1, 2, 3, or 0 for any other number. */
  readonly version: number;
  /** INTEGER. */
  readonly serial: Tlv;
  readonly algorithm: AlgorithmView;
  readonly issuer: NameView;
  readonly notBefore: TimeView;
  readonly notAfter: TimeView;
  readonly subject: NameView;
  readonly key: KeyView;
  readonly hasUniqueIds: boolean;
  /** Issuer and subject are the same to the octet: a root, or a CA's certificate for its own next key. */
  readonly selfIssued: boolean;
  /** Absent before signing. */
  readonly signature: SignatureView | undefined;
}

/** What the caller knows beside the octets. */
export interface Surroundings {
  /** The certificate of the authority that issues it. */
  readonly issuedBy: CertificateView | undefined;
  /** Why that cannot be read, where it was given. */
  readonly issuerFault: string | undefined;
  /** TCG policies that an attestation of this device's key backs. */
  readonly attestedPolicies: readonly string[];
}

/** Octets that are no certificate, or nothing that is to become one. */
export interface Unreadable {
  readonly faults: DerFaults;
  readonly structure: string;
}

/** Above any honest certificate, SLH-DSA chains included: bounds what a stranger makes us parse. */
const MAX_OCTETS = 1024 * 1024;

/** Reads a tbsCertificate (RFC 5280 §4.1). Never throws. */
export function readTbsView(octets: Uint8Array, surroundings: Surroundings): CertificateView | Unreadable {
  const faults: DerFaults = {};
  if (octets.length > MAX_OCTETS) return { faults, structure: `it has more than ${MAX_OCTETS} octets` };
  const tbs = readTlv(asBuffer(octets), 0, octets.length, faults);
  return tbs === undefined
    ? { faults, structure: 'it is not one value' }
    : readTbs(tbs, undefined, faults, surroundings);
}

/** Reads a Certificate (RFC 5280 §4.1). Never throws. */
export function readCertificateView(
  octets: Uint8Array,
  surroundings: Surroundings,
): CertificateView | Unreadable {
  const faults: DerFaults = {};
  if (octets.length > MAX_OCTETS) return { faults, structure: `it has more than ${MAX_OCTETS} octets` };
  const certificate = readTlv(asBuffer(octets), 0, octets.length, faults);
  const tbs = certificate?.first;
  const algorithm = tbs?.next;
  const value = algorithm?.next;
  if (
    certificate?.tag !== TAG.sequence ||
    tbs === undefined ||
    algorithm?.tag !== TAG.sequence ||
    value?.tag !== TAG.bitString ||
    value.next !== undefined
  ) {
    return { faults, structure: 'it is not SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }' };
  }
  return readTbs(tbs, { algorithm: readAlgorithm(algorithm), value }, faults, surroundings);
}

function readTbs(
  tbs: Tlv,
  signature: SignatureView | undefined,
  faults: DerFaults,
  { issuedBy, issuerFault, attestedPolicies }: Surroundings,
): CertificateView | Unreadable {
  const missing = (what: string): Unreadable => ({
    faults,
    structure: `${what} is missing, misplaced or of another type`,
  });
  if (tbs.tag !== TAG.sequence) return missing('tbsCertificate');
  const tagged = tbs.first?.tag === TAG.contextConstructed ? tbs.first : undefined;
  const version = tagged === undefined ? 1 : readVersion(tagged, faults);
  const serial = tagged === undefined ? tbs.first : tagged.next;
  if (serial?.tag !== TAG.integer) return missing('serialNumber');
  const algorithm = serial.next;
  if (algorithm?.tag !== TAG.sequence) return missing('signature');
  const issuer = algorithm.next;
  if (issuer?.tag !== TAG.sequence) return missing('issuer');
  const validity = issuer.next;
  const notBefore = validity?.first;
  const notAfter = notBefore?.next;
  if (
    validity?.tag !== TAG.sequence ||
    notBefore === undefined ||
    notAfter === undefined ||
    notAfter.next !== undefined
  ) {
    return missing('validity');
  }
  const subject = validity.next;
  if (subject?.tag !== TAG.sequence) return missing('subject');
  const key = subject.next;
  if (key?.tag !== TAG.sequence) return missing('subjectPublicKeyInfo');
  let rest = key.next;
  const issuerUniqueId = rest?.tag === (TAG.context | 1);
  if (issuerUniqueId) rest = rest?.next;
  const subjectUniqueId = rest?.tag === (TAG.context | 2);
  if (subjectUniqueId) rest = rest?.next;
  const extensions = rest?.tag === (TAG.contextConstructed | 3) ? rest : undefined;
  if (extensions !== undefined) rest = extensions.next;
  if (rest !== undefined)
    return {
      faults,
      structure: `a field with tag 0x${rest.tag.toString(16)} does not belong into a tbsCertificate`,
    };
  return {
    faults,
    tbs,
    version,
    serial,
    algorithm: readAlgorithm(algorithm),
    issuer: readName(issuer),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    subject: readName(subject),
    key: readKey(key, faults),
    hasUniqueIds: issuerUniqueId || subjectUniqueId,
    selfIssued: sameEncoding(issuer, subject),
    signature,
    issuedBy,
    issuerFault,
    attestedPolicies,
    ...readExtensions(extensions, faults),
  };
}

function readVersion(tagged: Tlv, faults: DerFaults): number {
  const number = tagged.first;
  if (number?.tag !== TAG.integer || number.next !== undefined || lengthOf(number) !== 1) return 0;
  const version = (number.bytes[number.content] ?? 0) + 1;
  if (version === 1) report(faults, 'der.default', 'version v1 is encoded, which is the default');
  return version <= 3 ? version : 0;
}
