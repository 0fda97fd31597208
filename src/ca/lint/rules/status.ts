import { ALL_KINDS, END_ENTITIES, type LintKind, type LintRule } from '../rule.ts';
import { rfc5280 } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import { OID } from '../view/oids.ts';

const NOT_RESPONDERS: readonly LintKind[] = ALL_KINDS.filter((kind) => kind !== 'ocsp-responder');

function statusSource(certificate: CertificateView): string | undefined {
  if (certificate.crlDistributionPoints !== undefined) return 'cRLDistributionPoints';
  return hasOcsp(certificate) ? 'an OCSP responder' : undefined;
}

function hasOcsp({ authorityInfoAccess }: CertificateView): boolean {
  return authorityInfoAccess?.descriptions.some(({ method }) => method === OID.ocspAccess) === true;
}

/** Where a certificate's status is found, or why there is none. */
export const statusRules: readonly LintRule[] = [
  {
    id: 'revocation.nowhere',
    severity: 'notice',
    kinds: END_ENTITIES.filter((kind) => kind !== 'ocsp-responder'),
    source: `${rfc5280('4.2.1.13')}; RFC 9608 §2`,
    what: 'Something says where its status is found (CRL or OCSP), or that there is none (noRevAvail).',
    check: (certificate) =>
      certificate.crlDistributionPoints === undefined &&
      certificate.noRevAvail === undefined &&
      !hasOcsp(certificate)
        ? 'nothing says where to ask for its status'
        : undefined,
  },
  {
    id: 'no-rev-avail.contradiction',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 9608 §3',
    what: 'noRevAvail stands beside no cRLDistributionPoints, no freshestCRL and no OCSP responder.',
    check: (certificate) => {
      const { noRevAvail, crlDistributionPoints, freshestCrl } = certificate;
      if (noRevAvail === undefined) return undefined;
      const told = crlDistributionPoints !== undefined || freshestCrl !== undefined || hasOcsp(certificate);
      return told ? 'noRevAvail says that there is no status, another extension where it is' : undefined;
    },
  },
  {
    id: 'no-rev-avail.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 9608 §2',
    what: 'noRevAvail is NULL (05 00).',
    check: ({ noRevAvail }) => (noRevAvail?.wellFormed === false ? 'noRevAvail is not NULL' : undefined),
  },
  {
    id: 'ca.no-rev-avail.present',
    severity: 'error',
    kinds: ['ca'],
    source: 'RFC 9608 §2',
    what: "An authority's certificate has no noRevAvail.",
    check: ({ noRevAvail }) => (noRevAvail === undefined ? undefined : 'noRevAvail is present'),
  },
  {
    id: 'ocsp-no-check.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 6960 §4.2.2.2.1',
    what: 'ocsp-nocheck is NULL (05 00).',
    check: ({ ocspNoCheck }) => (ocspNoCheck?.wellFormed === false ? 'ocsp-nocheck is not NULL' : undefined),
  },
  {
    id: 'ocsp-no-check.misplaced',
    severity: 'error',
    kinds: NOT_RESPONDERS,
    source: 'RFC 6960 §4.2.2.2.1',
    what: 'Only an OCSP responder has ocsp-nocheck.',
    check: ({ ocspNoCheck }) => (ocspNoCheck === undefined ? undefined : 'ocsp-nocheck is present'),
  },
  {
    id: 'ocsp-responder.no-check.missing',
    severity: 'warning',
    kinds: ['ocsp-responder'],
    source: 'RFC 6960 §4.2.2.2.1; RFC 9919',
    what: 'An OCSP responder has ocsp-nocheck: else asking for its status leads back to itself.',
    check: ({ ocspNoCheck }) => (ocspNoCheck === undefined ? 'there is no ocsp-nocheck' : undefined),
  },
  {
    id: 'ocsp-responder.status-source',
    severity: 'warning',
    kinds: ['ocsp-responder'],
    source: 'RFC 6960 §4.2.2.2.1',
    what: 'An OCSP responder with ocsp-nocheck names no CRL and no OCSP responder for itself.',
    check: (certificate) => {
      const source = certificate.ocspNoCheck === undefined ? undefined : statusSource(certificate);
      return source === undefined ? undefined : `ocsp-nocheck is present, and so is ${source}`;
    },
  },
];
