import { TAG } from '../../../x509/der/tags.ts';
import { type DerFaults, report } from './der-faults.ts';
import { type GeneralNameView, readGeneralNames } from './general-name.ts';
import { dottedOf } from './oids.ts';
import { lengthOf, type Tlv, textOf } from './tlv.ts';

/** What every known extension tells. */
export interface ExtensionValue {
  readonly critical: boolean;
  /** Its value has the syntax that it must have. */
  readonly wellFormed: boolean;
}

export interface AuthorityKeyIdentifier extends ExtensionValue {
  readonly keyIdentifier: Tlv | undefined;
  readonly hasIssuer: boolean;
  readonly hasSerial: boolean;
}

/** RFC 5280 §4.2.1.1. */
export function readAuthorityKeyIdentifier(
  critical: boolean,
  value: Tlv | undefined,
): AuthorityKeyIdentifier {
  let field = value?.tag === TAG.sequence ? value.first : undefined;
  const keyIdentifier = field?.tag === TAG.context ? field : undefined;
  if (keyIdentifier !== undefined) field = field?.next;
  const hasIssuer = field?.tag === (TAG.contextConstructed | 1);
  if (hasIssuer) field = field?.next;
  const hasSerial = field?.tag === (TAG.context | 2);
  if (hasSerial) field = field?.next;
  return {
    critical,
    wellFormed: value?.tag === TAG.sequence && field === undefined,
    keyIdentifier,
    hasIssuer,
    hasSerial,
  };
}

export interface SubjectKeyIdentifier extends ExtensionValue {
  readonly keyIdentifier: Tlv | undefined;
}

/** RFC 5280 §4.2.1.2. */
export function readSubjectKeyIdentifier(critical: boolean, value: Tlv | undefined): SubjectKeyIdentifier {
  const keyIdentifier = value?.tag === TAG.octetString ? value : undefined;
  return { critical, wellFormed: keyIdentifier !== undefined, keyIdentifier };
}

export interface KeyUsage extends ExtensionValue {
  /** Bit n is `1 << n`, numbered as in RFC 5280 §4.2.1.3. */
  readonly bits: number;
  /** The named-bit list ends with a bit that is zero (X.690 §11.2.2). */
  readonly trailingZeros: boolean;
}

/** RFC 5280 §4.2.1.3. */
export function readKeyUsage(critical: boolean, value: Tlv | undefined): KeyUsage {
  const wellFormed = value?.tag === TAG.bitString && lengthOf(value) >= 1 && lengthOf(value) <= 3;
  if (!wellFormed) return { critical, wellFormed, bits: 0, trailingZeros: false };
  const { bytes, content, end } = value;
  const unused = Math.min(bytes[content] ?? 0, 7);
  let bits = 0;
  for (let bit = 0; bit < (end - content - 1) * 8 - unused; bit += 1) {
    if ((bytes[content + 1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) bits |= 1 << bit;
  }
  const trailingZeros = end - content > 1 && ((bytes[end - 1] ?? 0) & (1 << unused)) === 0;
  return { critical, wellFormed, bits, trailingZeros };
}

export interface BasicConstraints extends ExtensionValue {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
}

/** RFC 5280 §4.2.1.9. */
export function readBasicConstraints(
  critical: boolean,
  value: Tlv | undefined,
  faults: DerFaults,
): BasicConstraints {
  let field = value?.tag === TAG.sequence ? value.first : undefined;
  const cA = field?.tag === TAG.boolean ? field : undefined;
  const ca = cA !== undefined && cA.bytes[cA.content] !== 0;
  if (cA !== undefined && !ca)
    report(faults, 'der.default', 'basicConstraints encodes cA FALSE, which is the default');
  if (cA !== undefined) field = field?.next;
  const length = field?.tag === TAG.integer ? field : undefined;
  if (length !== undefined) field = field?.next;
  const octet = length === undefined ? undefined : length.bytes[length.content];
  const countable = length === undefined || (octet !== undefined && octet < 0x80);
  const pathLength =
    length === undefined ? undefined : lengthOf(length) === 1 ? octet : Number.POSITIVE_INFINITY;
  return {
    critical,
    wellFormed: value?.tag === TAG.sequence && field === undefined && countable,
    ca,
    pathLength,
  };
}

export interface OidList extends ExtensionValue {
  /** Dotted, in their order. */
  readonly oids: readonly string[];
}

/** ExtKeyUsageSyntax of RFC 5280 §4.2.1.12. */
export function readExtendedKeyUsage(critical: boolean, value: Tlv | undefined): OidList {
  const oids: string[] = [];
  let wellFormed = value?.tag === TAG.sequence;
  for (let purpose = wellFormed ? value?.first : undefined; purpose !== undefined; purpose = purpose.next) {
    if (purpose.tag !== TAG.oid) wellFormed = false;
    oids.push(dottedOf(purpose));
  }
  return { critical, wellFormed, oids };
}

export interface CertificatePolicies extends OidList {
  readonly hasQualifiers: boolean;
}

/** RFC 5280 §4.2.1.4. */
export function readCertificatePolicies(critical: boolean, value: Tlv | undefined): CertificatePolicies {
  const oids: string[] = [];
  let wellFormed = value?.tag === TAG.sequence;
  let hasQualifiers = false;
  for (let policy = wellFormed ? value?.first : undefined; policy !== undefined; policy = policy.next) {
    const id = policy.first;
    const qualifiers = id?.next;
    if (policy.tag !== TAG.sequence || id?.tag !== TAG.oid || qualifiers?.next !== undefined)
      wellFormed = false;
    if (qualifiers !== undefined && (qualifiers.tag !== TAG.sequence || qualifiers.first === undefined))
      wellFormed = false;
    hasQualifiers ||= qualifiers !== undefined;
    oids.push(dottedOf(id));
  }
  return { critical, wellFormed, oids, hasQualifiers };
}

export interface AlternativeNames extends ExtensionValue {
  readonly names: readonly GeneralNameView[];
}

/** GeneralNames of RFC 5280 §4.2.1.6. */
export function readAlternativeNames(critical: boolean, value: Tlv | undefined): AlternativeNames {
  if (value?.tag !== TAG.sequence) return { critical, wellFormed: false, names: [] };
  return { critical, ...readGeneralNames(value) };
}

/** An extension whose value says by its presence all that it says: NULL. */
export function readNull(critical: boolean, value: Tlv | undefined): ExtensionValue {
  return { critical, wellFormed: value?.tag === TAG.null && lengthOf(value) === 0 };
}

export interface MasaUrl extends ExtensionValue {
  readonly url: string;
}

/** id-pe-masa-url of RFC 8995 §2.3.2. */
export function readMasaUrl(critical: boolean, value: Tlv | undefined): MasaUrl {
  const isText = value?.tag === TAG.ia5String;
  return { critical, wellFormed: isText, url: isText ? textOf(value) : '' };
}
