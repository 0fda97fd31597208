import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lintCertificate, lintTbsCertificate } from '../../../src/ca/lint/lint.ts';
import { ALL_KINDS, type LintFinding, type LintKind } from '../../../src/ca/lint/rule.ts';
import { LINT_RULES } from '../../../src/ca/lint/rules.ts';
import { readCertificate, readTbsCertificate } from '../../../src/x509/certificate.ts';
import { assertDer } from '../../../src/x509/der/reader.ts';
import { certify, encodeTbs, GOOD, issuerOf } from './certificate-builder.ts';

const SEVERITIES = new Map(LINT_RULES.map(({ id, severity }) => [id, severity]));
const kinds = fc.constantFrom<LintKind>(...ALL_KINDS);
const issuer = issuerOf('idevid');

/** One octet changed, some taken out, or some put in. */
const mutation = fc.oneof(
  fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), octet: fc.nat(255) }),
  fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), cut: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    put: fc.uint8Array({ minLength: 1, maxLength: 12 }),
  }),
);
type Mutation = { at: number; octet?: number; cut?: number; put?: Uint8Array };

function mutate(octets: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  let result = Buffer.from(octets);
  for (const { at, octet, cut = 0, put = new Uint8Array(0) } of mutations) {
    const place = Math.floor(at * result.length);
    if (octet !== undefined) result[place] = octet;
    else result = Buffer.concat([result.subarray(0, place), put, result.subarray(place + cut)]);
  }
  return result;
}

function expectSound(findings: readonly LintFinding[]): void {
  for (const { rule, severity, detail, source } of findings) {
    expect(SEVERITIES.get(rule)).toBe(severity);
    expect(detail).not.toBe('');
    expect(source).not.toBe('');
  }
  expect(new Set(findings.map(({ rule }) => rule)).size).toBe(findings.length);
}

const hasError = (findings: readonly LintFinding[]) => findings.some(({ severity }) => severity === 'error');

describe('octets from anywhere', () => {
  it('give findings and never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), kinds, (octets, kind) => {
        const findings = [
          ...lintTbsCertificate(octets, { kind, issuer }),
          ...lintCertificate(octets, { kind }),
        ];
        expect(hasError(findings)).toBe(true);
        expectSound(lintTbsCertificate(octets, { kind, issuer }));
      }),
      { numRuns: 500 },
    );
  });

  it('that were a certificate give sound findings, and an error wherever the strict reader refuses them', () => {
    const good = Object.fromEntries(
      ALL_KINDS.map((kind) => [kind, certify(GOOD[kind], kind === 'ca' ? 'root' : 'ca')]),
    );
    fc.assert(
      fc.property(kinds, fc.array(mutation, { minLength: 1, maxLength: 3 }), (kind, mutations) => {
        const octets = mutate(good[kind] ?? new Uint8Array(0), mutations);
        const findings = lintCertificate(octets, { kind, issuer: issuerOf(kind) });
        expectSound(findings);
        if (refuses(() => readCertificate(octets))) expect(hasError(findings)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('that were to be signed give an error wherever they are not DER all the way down', () => {
    const good = Object.fromEntries(ALL_KINDS.map((kind) => [kind, encodeTbs(GOOD[kind])]));
    fc.assert(
      fc.property(kinds, fc.array(mutation, { minLength: 1, maxLength: 2 }), (kind, mutations) => {
        const octets = mutate(good[kind] ?? new Uint8Array(0), mutations);
        const findings = lintTbsCertificate(octets, { kind });
        expectSound(findings);
        if (refuses(() => assertDer(octets, 'tbs')) || refuses(() => readTbsCertificate(octets))) {
          expect(hasError(findings)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('are not read where there are too many of them', () => {
    const octets = new Uint8Array(1024 * 1024 + 1);
    expect(lintCertificate(octets, { kind: 'idevid' }).map(({ rule }) => rule)).toEqual([
      'certificate.structure',
    ]);
  });
});

function refuses(read: () => unknown): boolean {
  try {
    read();
    return false;
  } catch {
    return true;
  }
}
