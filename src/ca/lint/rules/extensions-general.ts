import { ALL_KINDS, END_ENTITIES, type LintRule } from '../rule.ts';
import { HOUSE, rfc5280 } from '../sources.ts';
import type { ExtensionView } from '../view/extensions.ts';
import { OID } from '../view/oids.ts';
import { firstDuplicate } from './first-duplicate.ts';

/** What an RFC 5280 validator processes, or what it may pass over once it knows its meaning. */
const KNOWN: ReadonlySet<string> = new Set([
  OID.authorityKeyIdentifier,
  OID.subjectKeyIdentifier,
  OID.keyUsage,
  OID.certificatePolicies,
  OID.policyMappings,
  OID.subjectAltName,
  OID.issuerAltName,
  OID.subjectDirectoryAttributes,
  OID.basicConstraints,
  OID.nameConstraints,
  OID.policyConstraints,
  OID.extendedKeyUsage,
  OID.crlDistributionPoints,
  OID.inhibitAnyPolicy,
  OID.freshestCrl,
  OID.authorityInfoAccess,
  OID.subjectInfoAccess,
  OID.noRevAvail,
  OID.masaUrl,
  OID.ocspNoCheck,
]);
const CA_ONLY = new Map<string, string>([
  [OID.nameConstraints, 'nameConstraints'],
  [OID.policyMappings, 'policyMappings'],
  [OID.policyConstraints, 'policyConstraints'],
  [OID.inhibitAnyPolicy, 'inhibitAnyPolicy'],
]);
const CRL_ONLY = new Map<string, string>([
  [OID.crlNumber, 'cRLNumber'],
  [OID.deltaCrlIndicator, 'deltaCRLIndicator'],
  [OID.issuingDistributionPoint, 'issuingDistributionPoint'],
]);
/** Must be critical where a CA has them, and must not be in any certificate, by the sections that say so. */
const MUST_BE_CRITICAL = new Map<string, string>([
  [OID.nameConstraints, 'nameConstraints'],
  [OID.policyConstraints, 'policyConstraints'],
  [OID.inhibitAnyPolicy, 'inhibitAnyPolicy'],
]);
const MUST_NOT_BE_CRITICAL = new Map<string, string>([
  [OID.subjectDirectoryAttributes, 'subjectDirectoryAttributes'],
  [OID.subjectInfoAccess, 'subjectInfoAccess'],
  [OID.noRevAvail, 'noRevAvail'],
  [OID.ocspNoCheck, 'ocsp-nocheck'],
  [OID.masaUrl, 'masa-url'],
]);
const LEGACY = new Map<string, string>([
  [OID.netscapeCertType, 'Netscape certificate type'],
  [OID.netscapeComment, 'Netscape comment'],
]);

/** A rule that one look at each extension decides. */
function listed(
  rule: Omit<LintRule, 'check'>,
  list: ReadonlyMap<string, string>,
  tell: (name: string) => string,
  applies: (extension: ExtensionView) => boolean = () => true,
): LintRule {
  return {
    ...rule,
    check: ({ extensions }) => {
      for (const extension of extensions) {
        const name = list.get(extension.oid);
        if (name !== undefined && applies(extension)) return tell(name);
      }
      return undefined;
    },
  };
}

export const extensionsGeneralRules: readonly LintRule[] = [
  {
    id: 'extensions.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.9'),
    what: 'Extensions are a SEQUENCE OF SEQUENCE { extnID, critical, extnValue OCTET STRING }, not empty.',
    check: ({ extensionsFault }) => extensionsFault,
  },
  {
    id: 'extensions.duplicate',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2'),
    what: 'No extension is there twice.',
    check: ({ extensions }) => {
      const twice = firstDuplicate(extensions.map(({ oid }) => oid));
      return twice === undefined ? undefined : `extension ${twice} is there twice`;
    },
  },
  {
    id: 'extensions.unknown-critical',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2'),
    what: 'No extension is critical that validators do not know: they must refuse it.',
    check: ({ extensions }) => {
      const found = extensions.find(({ oid, critical }) => critical && !KNOWN.has(oid));
      return found === undefined ? undefined : `extension ${found.oid} is critical and known to few`;
    },
  },
  listed(
    {
      id: 'extensions.ca-only',
      severity: 'error',
      kinds: END_ENTITIES,
      source: rfc5280('4.2.1'),
      what: 'An end entity has no nameConstraints, policyMappings, policyConstraints or inhibitAnyPolicy.',
    },
    CA_ONLY,
    (name) => `${name} belongs to authorities`,
  ),
  listed(
    {
      id: 'extensions.crl-only',
      severity: 'error',
      kinds: ALL_KINDS,
      source: rfc5280('5.2'),
      what: 'A certificate has no cRLNumber, deltaCRLIndicator or issuingDistributionPoint.',
    },
    CRL_ONLY,
    (name) => `${name} belongs into CRLs`,
  ),
  listed(
    {
      id: 'extensions.must-not-be-critical',
      severity: 'error',
      kinds: ALL_KINDS,
      source: `${rfc5280('4.2.1.8')}; ${rfc5280('4.2.2.2')}; RFC 9608 §2; RFC 6960 §4.2.2.2.1; RFC 8995 §2.3.2`,
      what: 'subjectDirectoryAttributes, subjectInfoAccess, noRevAvail, ocsp-nocheck and masa-url are not critical.',
    },
    MUST_NOT_BE_CRITICAL,
    (name) => `${name} is critical`,
    ({ critical }) => critical,
  ),
  listed(
    {
      id: 'ca.extensions.not-critical',
      severity: 'error',
      kinds: ['ca'],
      source: `${rfc5280('4.2.1.10')}; ${rfc5280('4.2.1.11')}; ${rfc5280('4.2.1.14')}`,
      what: "An authority's nameConstraints, policyConstraints and inhibitAnyPolicy are critical.",
    },
    MUST_BE_CRITICAL,
    (name) => `${name} is not critical`,
    ({ critical }) => !critical,
  ),
  listed(
    {
      id: 'extensions.netscape',
      severity: 'notice',
      kinds: ALL_KINDS,
      source: HOUSE,
      what: 'There is no extension of Netscape, which some tools add unasked.',
    },
    LEGACY,
    (name) => `the extension ${name} is present`,
  ),
];
