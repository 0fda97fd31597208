import { TAG } from '../../../x509/der/tags.ts';
import { ALL_KINDS, DEVICES, END_ENTITIES, type LintRule } from '../rule.ts';
import { HOUSE, IOT_PROFILE, ieee8021ar, rfc5280 } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import { type AttributeView, characterCount, isEmptyName, labelOf, nameText } from '../view/name.ts';
import { OID } from '../view/oids.ts';
import { lengthOf, sameEncoding, type Tlv, textOf } from '../view/tlv.ts';

type Judge = (attribute: AttributeView) => string | undefined;

/** The first attribute of issuer or subject that a judge has something to say of. */
function inNames(judge: Judge): LintRule['check'] {
  return ({ issuer, subject }) => {
    for (const attribute of subject.attributes) {
      const detail = judge(attribute);
      if (detail !== undefined) return `subject: ${detail}`;
    }
    for (const attribute of issuer.attributes) {
      const detail = judge(attribute);
      if (detail !== undefined) return `issuer: ${detail}`;
    }
    return undefined;
  };
}

function countSerialNumbers({ subject }: CertificateView): number {
  let count = 0;
  for (const { type } of subject.attributes) if (type === OID.serialNumber) count += 1;
  return count;
}

function hasTag(value: Tlv, ...tags: readonly number[]): boolean {
  return tags.includes(value.tag);
}

function hasControlCharacter({ bytes, content, end, tag }: Tlv): boolean {
  // Two and four octets a character: zeros are halves of letters there. And what is cut into pieces has their headers.
  if (tag === TAG.bmpString || tag === TAG.universalString || (tag & 0x20) !== 0) return false;
  for (let at = content; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (octet < 0x20 || octet === 0x7f) return true;
  }
  return false;
}

function hasLooseSpace({ bytes, content, end }: Tlv): boolean {
  for (let at = content; at < end; at += 1) {
    if (bytes[at] === 0x20 && (at === content || at === end - 1 || bytes[at + 1] === 0x20)) return true;
  }
  return false;
}

export const nameRules: readonly LintRule[] = [
  {
    id: 'issuer.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.4'),
    what: 'The issuer is a Name: a SEQUENCE OF SET OF attributes, none of them empty.',
    check: ({ issuer }) => issuer.fault,
  },
  {
    id: 'issuer.empty',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.4'),
    what: 'The issuer has at least one attribute.',
    check: ({ issuer }) => (isEmptyName(issuer) ? 'the issuer is an empty name' : undefined),
  },
  {
    id: 'issuer.mismatch',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('4.1.2.4'),
    what: "The issuer is the subject of the authority's certificate to the octet, string types included.",
    check: ({ issuer, issuedBy }) =>
      issuedBy === undefined || sameEncoding(issuer.raw, issuedBy.subject.raw)
        ? undefined
        : `the issuer (${nameText(issuer)}) is not encoded as the authority's subject (${nameText(issuedBy.subject)})`,
  },
  {
    id: 'subject.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.6'),
    what: 'The subject is a Name: a SEQUENCE OF SET OF attributes, none of them empty.',
    check: ({ subject }) => subject.fault,
  },
  {
    id: 'subject.empty',
    severity: 'error',
    kinds: [...DEVICES, 'ca'],
    source: `${rfc5280('4.1.2.6')}; ${ieee8021ar('8.6')}`,
    what: 'The subject of a device or an authority has at least one attribute.',
    check: ({ subject }) => (isEmptyName(subject) ? 'the subject is an empty name' : undefined),
  },
  {
    id: 'subject.nowhere',
    severity: 'error',
    kinds: END_ENTITIES.filter((kind) => !DEVICES.includes(kind)),
    source: rfc5280('4.1.2.6'),
    what: 'A subject without attributes is named in a subjectAltName.',
    check: ({ subject, subjectAltName }) =>
      isEmptyName(subject) && subjectAltName === undefined
        ? 'neither subject nor subjectAltName says who it is'
        : undefined,
  },
  {
    id: 'idevid.subject.serial-number.missing',
    severity: 'error',
    kinds: ['idevid'],
    source: `${ieee8021ar('8.6')}; RFC 8995 §2.3.1`,
    what: "An IDevID's subject has the attribute serialNumber (2.5.4.5) with the device's serial number.",
    check: (certificate) =>
      countSerialNumbers(certificate) === 0
        ? "the subject lacks serialNumber (not to be confused with the certificate's)"
        : undefined,
  },
  {
    id: 'ldevid.subject.serial-number.missing',
    severity: 'warning',
    kinds: ['ldevid'],
    source: IOT_PROFILE,
    what: "An LDevID's subject has the attribute serialNumber (2.5.4.5).",
    check: (certificate) =>
      countSerialNumbers(certificate) === 0 ? 'the subject lacks serialNumber' : undefined,
  },
  {
    id: 'subject.serial-number.duplicate',
    severity: 'error',
    kinds: DEVICES,
    source: ieee8021ar('8.6'),
    what: 'A device has one serialNumber attribute.',
    check: (certificate) => {
      const count = countSerialNumbers(certificate);
      return count > 1
        ? `the subject has serialNumber ${count} times: which of them is the device?`
        : undefined;
    },
  },
  {
    id: 'name.string-type.printable',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5280 Appendix A.1',
    what: 'serialNumber, C and dnQualifier are PrintableString.',
    check: inNames((attribute) =>
      attribute.spec?.type !== 'printable' || attribute.value.tag === TAG.printableString
        ? undefined
        : `${labelOf(attribute)} is of tag 0x${attribute.value.tag.toString(16)}, not a PrintableString`,
    ),
  },
  {
    id: 'name.string-type.ia5',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5280 Appendix A.1',
    what: 'DC and emailAddress are IA5String.',
    check: inNames((attribute) =>
      attribute.spec?.type !== 'ia5' || attribute.value.tag === TAG.ia5String
        ? undefined
        : `${labelOf(attribute)} is of tag 0x${attribute.value.tag.toString(16)}, not an IA5String`,
    ),
  },
  {
    id: 'name.string-type.legacy',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.4'),
    what: 'Other attributes are UTF8String or PrintableString.',
    check: inNames((attribute) =>
      attribute.spec?.type !== 'directory' || hasTag(attribute.value, TAG.utf8String, TAG.printableString)
        ? undefined
        : `${labelOf(attribute)} is of tag 0x${attribute.value.tag.toString(16)}, neither UTF8String nor PrintableString`,
    ),
  },
  {
    id: 'name.attribute.empty',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5280 Appendix A.1',
    what: 'No attribute has an empty value.',
    check: inNames((attribute) =>
      lengthOf(attribute.value) === 0 ? `${labelOf(attribute)} is empty` : undefined,
    ),
  },
  {
    id: 'name.attribute.too-long',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5280 Appendix A.1',
    what: 'No attribute is longer than its upper bound (CN, O, OU, serialNumber 64 characters, L and ST 128).',
    check: inNames((attribute) => {
      const bound = attribute.spec?.bound;
      // Every character takes an octet at least: most values need no counting.
      if (bound === undefined || lengthOf(attribute.value) <= bound) return undefined;
      const count = characterCount(attribute);
      return count <= bound
        ? undefined
        : `${labelOf(attribute)} has ${count} characters, ${bound} are allowed`;
    }),
  },
  {
    id: 'name.country',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5280 Appendix A.1',
    what: 'C is a code of two letters.',
    check: inNames(({ type, value }) =>
      type !== OID.C || /^[A-Za-z]{2}$/.test(textOf(value))
        ? undefined
        : `C is "${textOf(value)}", not two letters`,
    ),
  },
  {
    id: 'name.attribute.control-character',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: 'RFC 4518 §2.2',
    what: 'No attribute holds control characters, which comparison passes over and readers cut at.',
    check: inNames((attribute) =>
      hasControlCharacter(attribute.value) ? `${labelOf(attribute)} holds a control character` : undefined,
    ),
  },
  {
    id: 'name.attribute.white-space',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('7.1'),
    what: 'No attribute has spaces at its ends or two in a row, which comparison passes over.',
    check: inNames((attribute) =>
      hasLooseSpace(attribute.value)
        ? `${labelOf(attribute)} "${textOf(attribute.value)}" has spaces that comparison ignores`
        : undefined,
    ),
  },
  {
    id: 'name.multi-valued',
    severity: 'notice',
    kinds: ALL_KINDS,
    source: HOUSE,
    what: 'Each RDN has one attribute: some readers merge or lose the others.',
    check: ({ issuer, subject }) =>
      issuer.multiValued || subject.multiValued
        ? `an RDN of the ${subject.multiValued ? 'subject' : 'issuer'} has more than one attribute`
        : undefined,
  },
];
