import { keyIdentifier } from '../../../x509/public-key.ts';
import { ALL_KINDS, type LintKind, type LintRule } from '../rule.ts';
import { IOT_PROFILE, ieee8021ar, rfc5280 } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import { contentOf, hexOf, lengthOf, rawOf, sameContent, type Tlv } from '../view/tlv.ts';

const MAX_SKI_OCTETS = 20;

/** What is wrong with a keyIdentifier, seen from the authority's certificate. */
function mismatch(id: Tlv, { subjectKeyIdentifier, key }: CertificateView): string | undefined {
  const own = subjectKeyIdentifier?.keyIdentifier;
  if (own !== undefined)
    return sameContent(id, own)
      ? undefined
      : `keyIdentifier ${hexOf(id)} is not the authority's, ${hexOf(own)}`;
  if (key.fault !== undefined) return undefined;
  // Method 1 of RFC 5280 §4.2.1.2, as the authority itself says nothing.
  const usual = keyIdentifier(rawOf(key.raw));
  return usual.equals(contentOf(id))
    ? undefined
    : `keyIdentifier ${hexOf(id)} is not the SHA-1 of the authority's key`;
}

function skiMissing(
  id: string,
  severity: LintRule['severity'],
  kinds: readonly LintKind[],
  what: string,
): LintRule {
  return {
    id,
    severity,
    kinds,
    source: rfc5280('4.2.1.2'),
    what,
    check: ({ subjectKeyIdentifier }) =>
      subjectKeyIdentifier === undefined ? 'there is no subjectKeyIdentifier' : undefined,
  };
}

export const identifierRules: readonly LintRule[] = [
  {
    id: 'authority-key-identifier.missing',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.2.1.1')}; ${ieee8021ar('8.10.1')}`,
    what: 'authorityKeyIdentifier is present, except in a self-signed certificate.',
    check: ({ authorityKeyIdentifier, selfIssued }) =>
      authorityKeyIdentifier === undefined && !selfIssued ? 'there is no authorityKeyIdentifier' : undefined,
  },
  {
    id: 'authority-key-identifier.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.1'),
    what: 'authorityKeyIdentifier is SEQUENCE { [0] keyIdentifier, [1] authorityCertIssuer, [2] authorityCertSerialNumber }.',
    check: ({ authorityKeyIdentifier }) =>
      authorityKeyIdentifier?.wellFormed === false
        ? 'authorityKeyIdentifier is not of that syntax'
        : undefined,
  },
  {
    id: 'authority-key-identifier.critical',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.1'),
    what: 'authorityKeyIdentifier is not critical.',
    check: ({ authorityKeyIdentifier }) =>
      authorityKeyIdentifier?.critical ? 'authorityKeyIdentifier is critical' : undefined,
  },
  {
    id: 'authority-key-identifier.key-identifier',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.2.1.1')}; ${ieee8021ar('8.10.1')}`,
    what: 'authorityKeyIdentifier has a keyIdentifier that is not empty.',
    check: ({ authorityKeyIdentifier }) => {
      if (authorityKeyIdentifier?.wellFormed !== true) return undefined;
      const { keyIdentifier: id } = authorityKeyIdentifier;
      return id !== undefined && lengthOf(id) > 0
        ? undefined
        : 'authorityKeyIdentifier lacks its keyIdentifier';
    },
  },
  {
    id: 'authority-key-identifier.pair',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5280 Appendix A.2',
    what: 'authorityCertIssuer and authorityCertSerialNumber come together or not at all.',
    check: ({ authorityKeyIdentifier: aki }) =>
      aki !== undefined && aki.hasIssuer !== aki.hasSerial
        ? 'authorityKeyIdentifier has one of issuer and serial number'
        : undefined,
  },
  {
    id: 'authority-key-identifier.issuer-and-serial',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: ieee8021ar('8.10.1'),
    what: "authorityKeyIdentifier is the keyIdentifier only: with issuer and serial number it outlives the authority's next certificate badly.",
    check: ({ authorityKeyIdentifier: aki }) =>
      aki?.hasIssuer === true && aki.hasSerial
        ? "authorityKeyIdentifier names one certificate of the authority's key"
        : undefined,
  },
  {
    id: 'authority-key-identifier.mismatch',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('4.2.1.1'),
    what: "keyIdentifier is the authority's subjectKeyIdentifier, or without one the SHA-1 of its key.",
    check: ({ authorityKeyIdentifier, issuedBy }) => {
      const id = authorityKeyIdentifier?.keyIdentifier;
      return id === undefined || issuedBy === undefined ? undefined : mismatch(id, issuedBy);
    },
  },
  {
    id: 'subject-key-identifier.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.2'),
    what: 'subjectKeyIdentifier is an OCTET STRING that is not empty.',
    check: ({ subjectKeyIdentifier: ski }) =>
      ski !== undefined && (ski.keyIdentifier === undefined || lengthOf(ski.keyIdentifier) === 0)
        ? 'subjectKeyIdentifier is empty or no OCTET STRING'
        : undefined,
  },
  {
    id: 'subject-key-identifier.critical',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.2'),
    what: 'subjectKeyIdentifier is not critical.',
    check: ({ subjectKeyIdentifier }) =>
      subjectKeyIdentifier?.critical ? 'subjectKeyIdentifier is critical' : undefined,
  },
  {
    id: 'subject-key-identifier.too-long',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: 'RFC 7093 §2',
    what: 'subjectKeyIdentifier has at most 20 octets: it is repeated in all that the key signs.',
    check: ({ subjectKeyIdentifier }) => {
      const length =
        subjectKeyIdentifier?.keyIdentifier === undefined ? 0 : lengthOf(subjectKeyIdentifier.keyIdentifier);
      return length > MAX_SKI_OCTETS ? `subjectKeyIdentifier has ${length} octets` : undefined;
    },
  },
  {
    id: 'idevid.subject-key-identifier.present',
    severity: 'notice',
    kinds: ['idevid'],
    source: `${ieee8021ar()}; ${IOT_PROFILE}`,
    what: 'An IDevID has no subjectKeyIdentifier (some tools add one unasked; TCG-based profiles ask for it).',
    check: ({ subjectKeyIdentifier }) =>
      subjectKeyIdentifier === undefined ? undefined : 'subjectKeyIdentifier is present',
  },
  skiMissing(
    'ldevid.subject-key-identifier.missing',
    'warning',
    ['ldevid'],
    'An LDevID has a subjectKeyIdentifier.',
  ),
  skiMissing(
    'ca.subject-key-identifier.missing',
    'error',
    ['ca'],
    "An authority's certificate has a subjectKeyIdentifier.",
  ),
  skiMissing(
    'service.subject-key-identifier.missing',
    'notice',
    ['server', 'operator', 'ocsp-responder'],
    'The certificate of a server, operator or responder has a subjectKeyIdentifier.',
  ),
];
