import { expect, it } from 'vitest';
import { lintTbsCertificate } from '../../../src/ca/lint/lint.ts';
import { encodeTbs, GOOD, issuerOf } from './certificate-builder.ts';

/** Nine times what it takes: notices a rule that costs more than all others, and not a busy machine. */
const LIMIT_MICROSECONDS = 100;
const ROUND = 2000;

it('judges a good IDevID in microseconds', () => {
  const tbs = encodeTbs(GOOD.idevid);
  const issuer = issuerOf('idevid');
  const rounds = Array.from({ length: 10 }, () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < ROUND; i += 1) lintTbsCertificate(tbs, { kind: 'idevid', issuer });
    return Number(process.hrtime.bigint() - start) / ROUND / 1000;
  });
  expect(Math.min(...rounds)).toBeLessThan(LIMIT_MICROSECONDS);
});
