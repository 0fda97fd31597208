import { isUtcTime, NO_EXPIRY } from '../../../x509/der/time.ts';
import { ALL_KINDS, END_ENTITIES, type LintRule } from '../rule.ts';
import { IOT_PROFILE, ieee8021ar, rfc5280 } from '../sources.ts';
import type { TimeView } from '../view/time.ts';
import { textOf } from '../view/tlv.ts';

function isGeneralizedTooEarly({ generalized, at }: TimeView): boolean {
  return generalized && isUtcTime(at);
}

function outlives(notAfter: TimeView, authority: TimeView): string | undefined {
  return notAfter.at > authority.at
    ? `notAfter ${textOf(notAfter.raw)} is after the authority's, ${textOf(authority.raw)}`
    : undefined;
}

/** Comparisons with NaN are false: a time that cannot be read is told once, by `validity.malformed`. */
export const validityRules: readonly LintRule[] = [
  {
    id: 'validity.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.5'),
    what: 'Both times are real ones, written YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ.',
    check: ({ notBefore, notAfter }) => {
      if (Number.isNaN(notBefore.at)) return `notBefore "${textOf(notBefore.raw)}" is no time of that form`;
      return Number.isNaN(notAfter.at)
        ? `notAfter "${textOf(notAfter.raw)}" is no time of that form`
        : undefined;
    },
  },
  {
    id: 'validity.generalized-time.too-early',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.5'),
    what: 'Times through 2049 are UTCTime, GeneralizedTime begins with 2050.',
    check: ({ notBefore, notAfter }) => {
      if (isGeneralizedTooEarly(notBefore))
        return `notBefore ${textOf(notBefore.raw)} is GeneralizedTime before 2050`;
      return isGeneralizedTooEarly(notAfter)
        ? `notAfter ${textOf(notAfter.raw)} is GeneralizedTime before 2050`
        : undefined;
    },
  },
  {
    id: 'validity.year-99',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.5.1'),
    what: 'notAfter is not 991231235959Z, which is the end of 1999 and not of 9999.',
    check: ({ notAfter }) =>
      !notAfter.generalized && textOf(notAfter.raw) === '991231235959Z'
        ? 'notAfter is the UTCTime 991231235959Z, the end of 1999; write GeneralizedTime 99991231235959Z'
        : undefined,
  },
  {
    id: 'validity.order',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.5'),
    what: 'notBefore lies before notAfter.',
    check: ({ notBefore, notAfter }) =>
      notBefore.at >= notAfter.at
        ? `notBefore ${textOf(notBefore.raw)} is not before notAfter ${textOf(notAfter.raw)}`
        : undefined,
  },
  {
    id: 'idevid.validity.ends',
    severity: 'warning',
    kinds: ['idevid'],
    source: `${ieee8021ar()}; ${rfc5280('4.1.2.5')}; RFC 8995 §2.6.2`,
    what: 'An IDevID does not expire: notAfter is 99991231235959Z.',
    check: ({ notAfter }) =>
      notAfter.at < NO_EXPIRY
        ? `notAfter is ${textOf(notAfter.raw)}, but an IDevID lives as long as its device`
        : undefined,
  },
  {
    id: 'validity.endless',
    severity: 'warning',
    kinds: END_ENTITIES.filter((kind) => kind !== 'idevid'),
    source: `${IOT_PROFILE}; ${rfc5280('4.1.2.5')}`,
    what: 'All but IDevIDs expire: notAfter is not 99991231235959Z.',
    check: ({ notAfter }) =>
      notAfter.at >= NO_EXPIRY ? 'notAfter is 99991231235959Z, so it can never age out' : undefined,
  },
  {
    id: 'validity.outlives-issuer',
    severity: 'warning',
    kinds: ALL_KINDS.filter((kind) => kind !== 'idevid'),
    needs: 'issuer',
    source: rfc5280('6.1'),
    what: "A certificate does not outlive its authority's.",
    check: ({ notAfter, issuedBy }) =>
      issuedBy === undefined ? undefined : outlives(notAfter, issuedBy.notAfter),
  },
  {
    id: 'idevid.validity.outlives-issuer',
    severity: 'warning',
    kinds: ['idevid'],
    needs: 'issuer',
    source: rfc5280('6.1'),
    what: "An IDevID that expires does not outlive its authority's certificate; one that does not expire may.",
    check: ({ notAfter, issuedBy }) =>
      // For one without end the authority is renewed under its name and key, see IDevIDs in RFC 8995 §2.6.2.
      issuedBy === undefined || notAfter.at >= NO_EXPIRY ? undefined : outlives(notAfter, issuedBy.notAfter),
  },
  {
    id: 'validity.before-issuer',
    severity: 'warning',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('6.1'),
    what: "A certificate does not begin before its authority's.",
    check: ({ notBefore, issuedBy }) =>
      issuedBy !== undefined && notBefore.at < issuedBy.notBefore.at
        ? `notBefore ${textOf(notBefore.raw)} is before the authority's, ${textOf(issuedBy.notBefore.raw)}`
        : undefined,
  },
];
