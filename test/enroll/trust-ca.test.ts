import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../src/core/errors.ts';
import { distrustCa, type TrustOrder, trustCa } from '../../src/enroll/trust-ca.ts';
import { SIGNATURE_ALGORITHMS } from '../../src/x509/algorithms.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { encode, sequence } from '../../src/x509/der/encode.ts';
import { boolean, nullValue, octetString, oid, time, unsigned } from '../../src/x509/der/values.ts';
import { toPem } from '../../src/x509/pem.ts';
import { BEGINNING, DAY_MS, openTestHouse, type TestHouse } from '../house.ts';
import { makeAuthority, makeCertificate, type Party, type Traits } from '../x509/path/make-certificate.ts';
import { type SampleKey, sampleKey, signed } from '../x509/samples.ts';

let house: TestHouse;
beforeEach(async () => {
  house = await openTestHouse();
});
afterEach(() => house[Symbol.dispose]());

const VALID = { notBefore: BEGINNING - DAY_MS, notAfter: BEGINNING + DAY_MS };
const caOf = (traits: Traits = {}): Party =>
  makeAuthority({ ...traits, fields: { ...VALID, ...traits.fields } });
const pemOf = (...parties: readonly Party[]): string =>
  parties.map(({ der }) => toPem('CERTIFICATE', der)).join('');

/** Trusts by an order that is good but for what is given; `CODE:FIELD` of a refusal. */
async function add(certificate: string, more: Partial<TrustOrder> = {}): Promise<string> {
  const room = { ledger: house.ledger, authorities: house.authorities, clock: house.guardedClock };
  try {
    const added = await trustCa({ certificate, namespace: 'acme', ...more }, 'operator:anna', room);
    return `added ${added.length}`;
  } catch (error) {
    if (error instanceof BirthmarkError) return `${error.code}:${error.field}`;
    throw error;
  }
}

const listed = async () =>
  (await house.ledger.read.listTrustedCas()).map(({ namespace, certificate }) => [namespace, certificate]);

function rsaKey(modulusLength: number, signatureAlgorithm?: Uint8Array): SampleKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
  const algorithm = SIGNATURE_ALGORITHMS['rsa-sha256'];
  return {
    privateKey,
    spki: publicKey.export({ format: 'der', type: 'spki' }),
    algorithm: { ...algorithm, der: signatureAlgorithm ?? algorithm.der },
  };
}

/** The same without what version 3 brought. */
function versionOne(party: Party): Party {
  const { serial, signatureAlgorithm, issuer, notBefore, notAfter, subject, spki } = parseCertificate(
    party.der,
  ).tbs;
  const validity = sequence(time(notBefore.at), time(notAfter.at));
  const tbs = encode(sequence(unsigned(serial), signatureAlgorithm, issuer, validity, subject, spki));
  return { ...party, der: signed(party.key, tbs) };
}

describe("a manufacturer's CA", () => {
  test('is trusted in its namespace, with what was said of it, and audited', async () => {
    const ca = caOf();
    expect(await add(pemOf(ca), { serialPattern: 'AC-*', validity: 'leaf' })).toBe('added 1');
    expect(await house.ledger.read.listTrustedCas()).toMatchObject([
      {
        namespace: 'acme',
        certificate: ca.der,
        serialPattern: 'AC-*',
        validity: 'leaf',
        addedBy: 'operator:anna',
      },
    ]);
    const { items } = await house.ledger.read.listAudit({ limit: 10 });
    expect(items).toMatchObject([
      {
        actor: 'operator:anna',
        action: 'trust.add',
        subject: 'namespace:acme',
        facts: { serialPattern: 'AC-*' },
      },
    ]);
  });

  test('comes with others of the same maker, all or none', async () => {
    const root = caOf({ cn: 'Acme root' });
    const below = caOf({ cn: 'Acme devices', issuer: root });
    const device = makeCertificate({ issuer: below, fields: VALID });
    expect(await add(pemOf(root, below, device))).toBe('bad-certificate:certificate');
    expect(await listed()).toEqual([]);
    expect(await add(pemOf(root, below))).toBe('added 2');
    expect(await listed()).toEqual([
      ['acme', root.der],
      ['acme', below.der],
    ]);
  });

  test('is trusted once, and none of those beside it where one is trusted already', async () => {
    const [first, second] = [caOf({ cn: 'one' }), caOf({ cn: 'two' })];
    await add(pemOf(first));
    expect(await add(pemOf(second, first))).toMatch(/^already-exists:/);
    expect(await listed()).toEqual([['acme', first.der]]);
    expect(await add(pemOf(second))).toBe('added 1');
    expect((await house.ledger.read.listAudit({ limit: 10 })).items).toHaveLength(2);
  });

  test('is refused in a second namespace under whatever certificate, and may be renewed in its own', async () => {
    const key = sampleKey('P-256');
    await add(pemOf(caOf({ key })));
    const renewed = pemOf(caOf({ key, cn: 'Acme again' }));
    expect(await add(renewed, { namespace: 'bolt' })).toBe('already-exists:namespace');
    expect(await add(renewed)).toBe('added 1');
    expect(await add(pemOf(caOf()), { namespace: 'bolt' })).toBe('added 1');
  });

  test('is none of our own authorities, whatever certificate its key has', async () => {
    const authority = house.authorities.get('ldevid');
    if (!authority) throw new Error('there is no authority ldevid');
    expect(await add(toPem('CERTIFICATE', authority.certificate.raw))).toBe('already-exists:certificate');
    const cross = caOf({ key: { ...sampleKey('P-256'), spki: Buffer.from(authority.certificate.tbs.spki) } });
    expect(await add(pemOf(cross))).toBe('already-exists:certificate');
  });

  test('that has expired is trusted only where chains that have may pass', async () => {
    const old = pemOf(caOf({ fields: { notBefore: BEGINNING - 2 * DAY_MS, notAfter: BEGINNING - 1 } }));
    expect(await add(old)).toBe('bad-certificate:certificate');
    expect(await add(old, { validity: 'leaf' })).toBe('added 1');
    expect(await add(pemOf(caOf({ fields: { notAfter: BEGINNING } })))).toBe('added 1');
  });
});

describe('a certificate', () => {
  const sha1 = encode(sequence(oid('1.2.840.113549.1.1.5'), nullValue()));
  const unknown = oid('1.3.6.1.4.1.99999.7');
  const octets = octetString(Buffer.of(5, 0));

  test.each<readonly [string, () => Party, string]>([
    ['that is an end entity', () => makeCertificate({ fields: VALID }), 'bad-certificate'],
    ['of version 1', () => versionOne(caOf()), 'bad-certificate'],
    ['without keyCertSign', () => caOf({ keyUsage: ['digitalSignature', 'cRLSign'] }), 'bad-certificate'],
    [
      'with a critical extension that nobody knows',
      () => caOf({ extra: [encode(sequence(unknown, boolean(true), octets))] }),
      'bad-certificate',
    ],
    ['with an RSA key of 1,024 bits', () => caOf({ key: rsaKey(1024) }), 'key-too-small'],
    [
      'that another CA signed with SHA-1',
      () => caOf({ issuer: caOf({ cn: 'above', key: rsaKey(2048, sha1) }) }),
      'signature-algorithm-not-allowed',
    ],
  ])('%s is refused', async (_title, make, code) => {
    expect(await add(pemOf(make()))).toBe(`${code}:certificate`);
    expect(await listed()).toEqual([]);
  });

  test.each<readonly [string, () => Party]>([
    ['of a CA that names no usage', () => caOf({ keyUsage: 'absent' })],
    ['with an extension that nobody has to know', () => caOf({ extra: [encode(sequence(unknown, octets))] })],
    ['with an RSA key of 2,048 bits, signed with SHA-256', () => caOf({ key: rsaKey(2048) })],
    ['that signed itself with SHA-1, which nobody checks', () => caOf({ key: rsaKey(2048, sha1) })],
    ['that somebody else signed', () => caOf({ issuer: caOf({ cn: 'above' }) })],
  ])('%s is trusted', async (_title, make) => {
    expect(await add(pemOf(make()))).toBe('added 1');
  });

  test('that cannot be read is refused, as is what is none', async () => {
    const { der } = caOf();
    const trailing = toPem('CERTIFICATE', Buffer.concat([der, Buffer.of(0)]));
    expect(await add(trailing)).toBe('bad-der:certificate');
    expect(await add('nothing')).toBe('bad-pem:certificate');
    expect(await add(toPem('CERTIFICATE', der))).toBe('added 1');
  });
});

describe('a namespace', () => {
  test.each(['own', '', 'Acme', 'acme/1', 'a b', '-acme', 'x'.repeat(65)])(
    '%j is refused',
    async (namespace) => {
      expect(await add(pemOf(caOf()), { namespace })).toBe('name-invalid:namespace');
    },
  );
  test.each(['acme', 'owner', 'a-1', 'x'.repeat(64)])('%j is taken', async (namespace) => {
    expect(await add(pemOf(caOf()), { namespace })).toBe('added 1');
  });
});

describe('a pattern of serial numbers', () => {
  test.each(['', 'AC_*', 'ÄC-*', 'a\nb', '*'.repeat(129)])('%j is refused', async (serialPattern) => {
    expect(await add(pemOf(caOf()), { serialPattern })).toBe('bad-request:serialPattern');
  });
  test.each(['*', 'AC-*', '?? 1', '*'.repeat(128)])('%j is taken', async (serialPattern) => {
    expect(await add(pemOf(caOf()), { serialPattern })).toBe('added 1');
  });
});

test('a CA is trusted no longer when it was removed, and what is not there is not removed', async () => {
  await add(pemOf(caOf()));
  const [{ fingerprint } = { fingerprint: Buffer.of() }] = await house.ledger.read.listTrustedCas();
  const remove = () =>
    distrustCa(fingerprint, 'operator:anna', { ledger: house.ledger, clock: house.guardedClock });
  await remove();
  expect(await listed()).toEqual([]);
  await expect(remove()).rejects.toMatchObject({ code: 'not-found' });
  const { items } = await house.ledger.read.listAudit({ limit: 10 });
  expect(items.map(({ action, subject }) => `${action} ${subject}`)).toEqual([
    'trust.add namespace:acme',
    'trust.remove namespace:acme',
  ]);
});
