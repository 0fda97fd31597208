import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { type Crl, readCrl } from '../../../src/x509/crl-reader.ts';
import { crlDistributionPoints, subjectAltName } from '../../../src/x509/extensions.ts';
import { DEFAULT_LIMITS } from '../../../src/x509/path/limits.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { validatePath } from '../../../src/x509/path/validate-path.ts';
import { REFUSALS } from '../../../src/x509/path/verdict.ts';
import { mutate, seededRandom } from '../mutate.ts';
import { HARDWARE_MODULE } from '../samples.ts';
import { makeAuthority, makeCertificate, NOW } from './make-certificate.ts';
import { makeCrl } from './make-crl.ts';
import { makeSlowChains } from './slow-chains.ts';

const SECONDS = Number(process.env.BIRTHMARK_FUZZ_SECONDS ?? 3);
const SEED = Number(
  process.env.BIRTHMARK_FUZZ_SEED ?? (process.env.BIRTHMARK_FUZZ_SECONDS === undefined ? 1 : process.pid),
);

test('no chain that was built to be slow gets more work than the limits allow', () => {
  for (const { what, anchors, untrusted, leaf } of makeSlowChains()) {
    let spent = { signatureChecks: 0, steps: 0 };
    const trust = openTrust({ anchors });
    validatePath(leaf, {
      trust,
      untrusted,
      at: NOW,
      purpose: 'clientAuth',
      onSpent: (all) => {
        spent = all;
      },
    });
    expect(spent.signatureChecks, what).toBeLessThanOrEqual(DEFAULT_LIMITS.maxSignatureChecks);
    expect(spent.steps, what).toBeLessThanOrEqual(DEFAULT_LIMITS.maxSteps);
  }
});

describe('whatever is sent', () => {
  const root = makeAuthority({ cn: 'root' });
  const ca = makeAuthority({ issuer: root });
  const extra = [subjectAltName([HARDWARE_MODULE]), crlDistributionPoints('http://crl.example/1')];
  const leaf = makeCertificate({ issuer: ca, extra });
  const crl = makeCrl({ issuer: ca, listed: [{ certificate: leaf, reason: 1 }, { certificate: ca }] });
  const delta = makeCrl({ issuer: ca, base: 1, number: 2, listed: [{ certificate: ca, reason: 8 }] });
  const corpus = [leaf.der, ca.der, root.der, crl, delta];
  const trust = openTrust({ anchors: [root.der] });
  const { stackTraceLimit } = Error;
  beforeAll(() => {
    Error.stackTraceLimit = 0;
  });
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });
  const fuzz = (seconds: number, run: (random: () => number) => void) => {
    const random = seededRandom(SEED);
    const end = performance.now() + seconds * 1000;
    let tries = 0;
    for (; performance.now() < end; tries += 1) run(random);
    expect(tries).toBeGreaterThan(0);
  };

  test('validatePath gives a verdict, and never `ok` for a leaf that was changed', {
    timeout: (SECONDS + 60) * 1000,
  }, () => {
    fuzz(SECONDS / 4, (random) => {
      const [changed, issuer] =
        random() < 0.7
          ? [mutate(leaf.der, corpus, random), ca.der]
          : [leaf.der, mutate(ca.der, corpus, random)];
      const verdict = validatePath(changed, { trust, untrusted: [issuer], at: NOW, purpose: 'any' });
      expect([...REFUSALS, 'ok']).toContain(verdict.reason);
      const foreign = [changed, issuer].some((der) => corpus.every((one) => !one.equals(der)));
      if (verdict.reason === 'ok' && foreign)
        expect.fail(`accepted, BIRTHMARK_FUZZ_SEED=${SEED}: ${changed.toString('hex')}`);
    });
  });

  test('readCrl refuses with `bad-der`, or what it read never makes a revoked certificate good', {
    timeout: (SECONDS + 60) * 1000,
  }, () => {
    fuzz(SECONDS / 4, (random) => {
      const changed = mutate(random() < 0.5 ? crl : delta, corpus, random);
      let read: Crl;
      try {
        read = readCrl(changed);
      } catch (error) {
        if (error instanceof BirthmarkError && error.code === 'bad-der') return;
        throw error;
      }
      if (corpus.some((one) => one.equals(changed))) return;
      const crls = [read, readCrl(crl)];
      const input = { trust, untrusted: [ca.der], at: NOW, purpose: 'any', status: 'leaf', crls } as const;
      expect(
        validatePath(leaf.der, input).reason,
        `BIRTHMARK_FUZZ_SEED=${SEED}: ${changed.toString('hex')}`,
      ).toBe('revoked');
    });
  });
});
