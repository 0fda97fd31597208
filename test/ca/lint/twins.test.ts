import { describe, expect, it } from 'vitest';
import { lintCertificate, lintTbsCertificate } from '../../../src/ca/lint/lint.ts';
import { ALL_KINDS, type LintFinding } from '../../../src/ca/lint/rule.ts';
import { LINT_RULES } from '../../../src/ca/lint/rules.ts';
import { certify, encodeTbs, GOOD, issuerOf, ROOT, unchanged } from './certificate-builder.ts';
import type { Twin } from './twin.ts';
import { constraintTwins } from './twins/constraints.ts';
import { derTwins } from './twins/der.ts';
import { distributionTwins } from './twins/distribution.ts';
import { identifierTwins } from './twins/identifiers.ts';
import { keyTwins } from './twins/keys.ts';
import { nameTwins } from './twins/names.ts';
import { signatureTwins } from './twins/signatures.ts';
import { subjectAltNameTwins } from './twins/subject-alt-names.ts';
import { usageTwins } from './twins/usages.ts';
import { validityTwins } from './twins/validity.ts';

const TWINS: readonly Twin[] = [
  ...derTwins,
  ...nameTwins,
  ...validityTwins,
  ...keyTwins,
  ...identifierTwins,
  ...usageTwins,
  ...constraintTwins,
  ...subjectAltNameTwins,
  ...distributionTwins,
  ...signatureTwins,
];

const rulesOf = (findings: readonly LintFinding[]): readonly string[] =>
  findings.map(({ rule }) => rule).sort();

function accepted({ kind, accepts = unchanged, signs, attested }: Twin): readonly string[] {
  const parts = { ...GOOD[kind], ...accepts(GOOD[kind]) };
  const context = {
    kind,
    issuer: issuerOf(kind),
    ...(attested === undefined ? {} : { attestedPolicies: attested }),
  };
  const findings =
    signs === undefined
      ? lintTbsCertificate(encodeTbs(parts), context)
      : lintCertificate(certify(parts, kind === 'ca' ? 'root' : 'ca'), context);
  return rulesOf(findings);
}

function refused({ kind, refuses, encodes = encodeTbs, signs, refusedIssuer }: Twin): readonly string[] {
  const parts = { ...GOOD[kind], ...refuses(GOOD[kind]) };
  const context = { kind, issuer: refusedIssuer?.() ?? issuerOf(kind) };
  return rulesOf(
    signs === undefined
      ? lintTbsCertificate(encodes(parts), context)
      : lintCertificate(signs(parts), context),
  );
}

describe('a good certificate', () => {
  for (const kind of ALL_KINDS) {
    it(`of kind ${kind} has no finding, before and after its signature`, () => {
      const issuer = issuerOf(kind);
      expect(lintTbsCertificate(encodeTbs(GOOD[kind]), { kind, issuer })).toEqual([]);
      expect(lintTbsCertificate(encodeTbs(GOOD[kind]), { kind })).toEqual([]);
      expect(lintCertificate(certify(GOOD[kind], kind === 'ca' ? 'root' : 'ca'), { kind, issuer })).toEqual(
        [],
      );
    });
  }

  it('of a root has no finding, with itself as its issuer', () => {
    expect(lintCertificate(certify(ROOT, 'root'), { kind: 'ca', issuer: issuerOf('ca') })).toEqual([]);
  });
});

describe.each(TWINS)('$rule ($kind)', (twin) => {
  it('is not told of the accepted twin', () => {
    expect(accepted(twin)).toEqual([...(twin.aside ?? [])].sort());
  });

  it('is told of the refused twin', () => {
    expect(refused(twin)).toEqual([twin.rule, ...(twin.also ?? [])].sort());
  });
});

it('has twins for every rule', () => {
  const covered = new Set(TWINS.map(({ rule }) => rule));
  expect(LINT_RULES.map(({ id }) => id).filter((id) => !covered.has(id))).toEqual([]);
});
