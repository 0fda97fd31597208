import { KEY_USAGE } from '../../../x509/extensions.ts';
import { ALL_KINDS, type LintRule } from '../rule.ts';
import { rfc5280 } from '../sources.ts';

/** What the authority's own certificate must be for this one to be of use. */
export const issuerRules: readonly LintRule[] = [
  {
    id: 'issuer.unreadable',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1'),
    what: "The authority's certificate, where it is given, can be read.",
    check: ({ issuerFault }) =>
      issuerFault === undefined ? undefined : `the authority's certificate cannot be read: ${issuerFault}`,
  },
  {
    id: 'issuer.not-ca',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('6.1.4'),
    what: "The authority's certificate has basicConstraints with cA TRUE.",
    check: ({ issuedBy }) =>
      issuedBy === undefined || issuedBy.basicConstraints?.ca === true
        ? undefined
        : "the authority's certificate is none of a CA",
  },
  {
    id: 'issuer.key-cert-sign',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('6.1.4'),
    what: "The keyUsage of the authority's certificate, where there is one, has keyCertSign.",
    check: ({ issuedBy }) =>
      issuedBy?.keyUsage !== undefined && (issuedBy.keyUsage.bits & (1 << KEY_USAGE.keyCertSign)) === 0
        ? "the authority's keyUsage lacks keyCertSign"
        : undefined,
  },
  {
    id: 'ca.issuer.path-length',
    severity: 'error',
    kinds: ['ca'],
    needs: 'issuer',
    source: rfc5280('4.2.1.9'),
    what: 'An authority whose pathLenConstraint is 0 certifies no other authority.',
    check: ({ selfIssued, issuedBy }) =>
      issuedBy?.basicConstraints?.pathLength === 0 && !selfIssued
        ? "the authority's pathLenConstraint is 0"
        : undefined,
  },
];
