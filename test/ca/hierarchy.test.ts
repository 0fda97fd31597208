import { describe, expect, test } from 'vitest';
import { assembleAuthorities, chainBelowRoot } from '../../src/ca/authority.ts';
import { type AuthorityPlan, createHierarchy } from '../../src/ca/hierarchy.ts';
import { lintCertificate } from '../../src/ca/lint/lint.ts';
import { publishedUrls } from '../../src/ca/published-urls.ts';
import { createFileSigner } from '../../src/keys/file-signer.ts';
import { generateKey } from '../../src/keys/key-algorithm.ts';
import { openLedger, type SqliteLedger } from '../../src/store/sqlite/open-ledger.ts';
import { findExtension, parseCertificate } from '../../src/x509/certificate.ts';
import { EXTENSION } from '../../src/x509/extensions.ts';
import { nameToText } from '../../src/x509/name.ts';
import { hashKey } from '../../src/x509/public-key.ts';
import { verifiesByOthers } from '../../src/x509/second-opinion.ts';
import {
  BEGINNING,
  codeOfAsync,
  DAY_MS,
  only,
  PUBLIC_URL,
  seededRandom,
  testHierarchy,
  testPlans,
} from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

async function withLedger<T>(work: (ledger: SqliteLedger) => Promise<T>): Promise<T> {
  const ledger = openLedger({ path: ':memory:' });
  try {
    return await work(ledger);
  } finally {
    ledger.close();
  }
}

function make(plans: readonly AuthorityPlan[], ledger: SqliteLedger) {
  const urls = publishedUrls(PUBLIC_URL);
  return createHierarchy(plans, { ledger, urls, now: BEGINNING, random: seededRandom() });
}

describe.each(['ec-p256', 'ec-p384', 'ed25519'] as const)('a hierarchy of %s', (algorithm) => {
  test('chains, passes the lint without an error or a warning, and names where things are', async () => {
    const { records } = await testHierarchy(algorithm);
    expect(records.map(({ name, issuer }) => `${issuer} > ${name}`)).toEqual([
      'root > root',
      'root > idevid',
      'root > ldevid',
      'root > service',
    ]);
    const root = records[0]?.certificate ?? new Uint8Array();
    for (const { name, certificate } of records) {
      const { tbs } = parseCertificate(certificate);
      expect(await verifiesByOthers(certificate, root)).toBe(true);
      const issuer = { issuer: parseCertificate(root) };
      const findings = lintCertificate(certificate, { kind: 'ca', ...(name === 'root' ? {} : issuer) });
      expect(findings.filter(({ severity }) => severity !== 'notice')).toEqual([]);
      expect(nameToText(tbs.subject)).toBe(`O=Lab, CN=Lab ${name} CA`);
      for (const oid of [
        EXTENSION.subjectKeyIdentifier,
        EXTENSION.authorityKeyIdentifier,
        EXTENSION.basicConstraints,
        EXTENSION.keyUsage,
      ]) {
        expect(findExtension(tbs, oid)).toBeDefined();
      }
      const text = Buffer.from(certificate).toString('latin1');
      for (const url of ['/crl/root.crl', '/ca/root.cer', '/ocsp']) expect(text).toContain(PUBLIC_URL + url);
    }
  });
});

test('is recorded whole: authorities, certificates with signatures, keys that nobody else may have, acts', async () => {
  await withLedger(async (ledger) => {
    const plans = testPlans('ec-p256');
    const records = await make(plans, ledger);
    expect((await ledger.read.listAuthorities()).map(({ name }) => name)).toEqual(
      records.map(({ name }) => name),
    );
    for (const { name, signer } of plans) {
      const [key] = await ledger.read.findKeys([hashKey(signer.spki)]);
      expect(key?.holder).toBe(`authority:${name}`);
    }
    for (const { certificate } of records) {
      const record = await ledger.read.findBySerial(parseCertificate(certificate).tbs.serial);
      expect(record?.signature).toBeDefined();
    }
    expect(await ledger.read.findReserved(10)).toEqual([]);
    expect(
      (await ledger.read.listAudit({ limit: 10 })).items.map(({ action, subject }) => `${action} ${subject}`),
    ).toEqual(records.map(({ name }) => `authority.create authority:${name}`));
  });
});

test('an authority ends no later than its root', async () => {
  await withLedger(async (ledger) => {
    const [root, idevid] = testPlans('ec-p256');
    if (!root || !idevid) throw new Error('no plans');
    const records = await make(
      [
        { ...root, validityDays: 10 },
        { ...idevid, validityDays: 11 },
      ],
      ledger,
    );
    const ends = records.map(({ certificate }) => parseCertificate(certificate).tbs.notAfter.at);
    expect(ends).toEqual([BEGINNING + 10 * DAY_MS, BEGINNING + 10 * DAY_MS]);
  });
});

describe('nothing is recorded of a hierarchy', () => {
  const plan = (changes: readonly Partial<AuthorityPlan>[]): AuthorityPlan[] =>
    testPlans('ec-p256').map((one, at) => ({ ...one, ...changes[at] }));

  test.each<readonly [string, () => AuthorityPlan[], string]>([
    ['whose issuer comes after it', () => plan([]).reverse(), 'internal'],
    ['whose issuer does not exist', () => plan([{}, { issuer: 'nobody' }]), 'internal'],
    [
      'with a name that does not fit a certificate',
      () => plan([{}, { commonName: 'x'.repeat(65) }]),
      'name-invalid',
    ],
    [
      'with an authority named as its root is',
      () => plan([{}, { commonName: 'Lab root CA' }]),
      'name-invalid',
    ],
    [
      'with two authorities of one name',
      () => plan([{}, {}, { commonName: 'Lab idevid CA' }]),
      'name-invalid',
    ],
    [
      'with one key for two authorities',
      () => {
        const signer = createFileSigner(generateKey('ec-p256'));
        return plan([{}, { signer }, { signer }]);
      },
      'already-exists',
    ],
  ])('%s', async (_title, plans, code) => {
    await withLedger(async (ledger) => {
      expect(await codeOfAsync(make(plans(), ledger))).toBe(code);
      expect(await ledger.read.listAuthorities()).toEqual([]);
      expect(await ledger.read.findReserved(10)).toEqual([]);
      expect((await ledger.read.listAudit({ limit: 10 })).items).toEqual([]);
    });
  });
});

describe('joining the ledger with the keys', () => {
  test('gives each authority its chain, nearest first and without the root', async () => {
    const { records, signers } = await testHierarchy();
    const authorities = assembleAuthorities(records, ({ name }) => signers.get(name) ?? noSigner());
    const [root, idevid] = [authorities.get('root'), authorities.get('idevid')];
    if (!root || !idevid) throw new Error('no authorities');
    expect([root.isRoot, idevid.isRoot]).toEqual([true, false]);
    expect(idevid.root).toEqual(root.certificate.raw);
    expect(idevid.intermediates).toEqual([]);
    expect(only(chainBelowRoot(idevid))).toEqual(idevid.certificate.raw);
  });

  test("refuses a key that is another authority's", async () => {
    const { records, signers } = await testHierarchy();
    const swapped = { idevid: 'ldevid', ldevid: 'idevid' } as Readonly<Record<string, string>>;
    expect(
      codeOf(() =>
        assembleAuthorities(records, ({ name }) => signers.get(swapped[name] ?? name) ?? noSigner()),
      ),
    ).toBe('key-file-unreadable');
  });

  test('refuses an authority whose issuer is not in the ledger', async () => {
    const { records, signers } = await testHierarchy();
    expect(
      codeOf(() =>
        assembleAuthorities(
          records.filter(({ name }) => name !== 'root'),
          ({ name }) => signers.get(name) ?? noSigner(),
        ),
      ),
    ).toBe('ledger-failed');
  });
});

function noSigner(): never {
  throw new Error('no signer');
}
