import { describe, expect, test } from 'vitest';
import { operatorAdmission } from '../../src/enroll/admission.ts';
import type { Ledger } from '../../src/enroll/ports.ts';
import { findExtension, parseCertificate } from '../../src/x509/certificate.ts';
import { encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { oid, utf8String } from '../../src/x509/der/values.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { EXTENSION } from '../../src/x509/extensions.ts';
import { nameToText } from '../../src/x509/name.ts';
import {
  attribute,
  type CsrAsks,
  DAY_MS,
  newCsr,
  newKey,
  only,
  openTestHouse,
  outcomeCode,
} from '../house.ts';
import { sampleCsr } from '../x509/samples.ts';
import { weakCsrs } from './weak-csrs.ts';

describe('what a CSR asks for and does not get is told, exactly', () => {
  const cn = { type: 'CN', value: 'pump-7' } as const;
  const signing = extensions.keyUsage(['digitalSignature']);
  test.each<[string, CsrAsks, readonly string[]]>([
    ['nothing of nothing', {}, []],
    [
      'nothing of what it gets anyway',
      {
        subject: [
          { type: 'O', value: 'Lab' },
          { type: 'serialNumber', value: 'SN-1' },
        ],
      },
      [],
    ],
    ['a name', { subject: [cn] }, ['subject CN=pump-7']],
    [
      'another organization beside the right serial number',
      {
        subject: [
          { type: 'O', value: 'Acme' },
          { type: 'serialNumber', value: 'SN-1' },
        ],
      },
      ['subject O=Acme'],
    ],
    ['nothing of the key usage that it gets', { extensions: [signing] }, []],
    ['another key usage', { extensions: [extensions.keyUsage(['keyCertSign'])] }, ['extension keyUsage']],
    ['to be a CA', { extensions: [extensions.caConstraints(0)] }, ['extension basicConstraints']],
    [
      'alternative names',
      { extensions: [signing, extensions.subjectAltName([{ kind: 'dns', name: 'a.example' }])] },
      ['extension subjectAltName'],
    ],
    [
      'a purpose',
      { extensions: [extensions.extendedKeyUsage(['1.3.6.1.5.5.7.3.1'])] },
      ['extension extendedKeyUsage'],
    ],
    [
      'an extension that nobody knows',
      { extensions: [extensions.extension('1.2.3.4', true, utf8String('x'))] },
      ['extension 1.2.3.4'],
    ],
    [
      'a challenge password, which is not repeated',
      { attributes: [attribute('1.2.840.113549.1.9.7', utf8String('secret'))] },
      ['attribute 1.2.840.113549.1.9.7'],
    ],
    [
      'all of it at once',
      {
        subject: [cn],
        extensions: [extensions.caConstraints(0)],
        attributes: [attribute('1.2.3', utf8String('x'))],
      },
      ['subject CN=pump-7', 'extension basicConstraints', 'attribute 1.2.3'],
    ],
  ])('%s', async (_title, asks, notGranted) => {
    using house = await openTestHouse();
    const { certificate, notGranted: told } = await house.grant('SN-1', { csr: newCsr(newKey(), asks) });
    expect(told).toEqual(notGranted);
    // And it does not have it.
    const { tbs } = parseCertificate(certificate);
    expect(nameToText(tbs.subject)).toBe('O=Lab, serialNumber=SN-1');
    expect(findExtension(tbs, EXTENSION.basicConstraints)).toBeUndefined();
    expect(Buffer.from(tbs.raw).includes('a.example')).toBe(false);
  });

  test('with nothing in it that steers a terminal', async () => {
    using house = await openTestHouse();
    const subject = encode(sequence(setOf(sequence(oid('2.5.4.3'), utf8String('a\u001b[2J, b')))));
    const { notGranted } = await house.grant('SN-1', { csr: sampleCsr(newKey(), { subject }) });
    expect(notGranted).toEqual(['subject CN=a\\1b[2J\\, b']);
  });

  test('also where the certificate is the one that was issued before', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.grant('SN-1', { key });
    const again = await house.grant('SN-1', { csr: newCsr(key, { subject: [cn] }) });
    expect(again.notGranted).toEqual(['subject CN=pump-7']);
  });
});

describe("another device's CSR", () => {
  test.each<[string, CsrAsks['subject'], string]>([
    ['that names this one', [{ type: 'serialNumber', value: 'SN-1' }], 'granted'],
    ['that names another one', [{ type: 'serialNumber', value: 'SN-2' }], 'serial-number-mismatch'],
    [
      'that names both',
      [
        { type: 'serialNumber', value: 'SN-1' },
        { type: 'serialNumber', value: 'SN-2' },
      ],
      'serial-number-mismatch',
    ],
    [
      'that names this one in other case',
      [{ type: 'serialNumber', value: 'sn-1' }],
      'serial-number-mismatch',
    ],
    ['that names none', [{ type: 'CN', value: 'SN-2' }], 'granted'],
  ])('%s', async (_title, subject = [], code) => {
    using house = await openTestHouse();
    expect(outcomeCode(await house.ask('SN-1', { csr: newCsr(newKey(), { subject }) }))).toBe(code);
  });
});

describe('a CSR with', () => {
  test.each(weakCsrs())('%s is refused', async (_title, csr, code) => {
    using house = await openTestHouse();
    expect(outcomeCode(await house.ask('SN-1', { csr: csr() }))).toBe(code);
    expect(await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }])).toEqual([
      undefined,
    ]);
  });

  test.each(['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const)('%s is taken', async (kind) => {
    using house = await openTestHouse();
    expect(outcomeCode(await house.ask('SN-1', { key: newKey(kind) }))).toBe('granted');
  });

  test("a key of another algorithm than the authority's is refused where the profile wants one suite", async () => {
    using house = await openTestHouse({ profiles: { idevid: { sameAlgorithmChain: true } } });
    expect(outcomeCode(await house.ask('SN-1', { key: newKey('P-384') }))).toBe('key-algorithm-not-allowed');
    expect(outcomeCode(await house.ask('SN-1', { key: newKey('P-256') }))).toBe('granted');
  });

  test('a bit of its signature turned is refused', async () => {
    using house = await openTestHouse();
    const csr = newCsr(newKey('Ed25519'));
    expect(outcomeCode(await house.ask('SN-1', { csr }))).toBe('granted');
    csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1;
    expect(outcomeCode(await house.ask('SN-2', { csr }))).toBe('proof-of-possession-failed');
  });
});

describe('the audit', () => {
  test('has one act for what was granted, and one for what was refused before the ledger was asked', async () => {
    using house = await openTestHouse();
    await house.grant('SN-1');
    const csr = newCsr(newKey(), { subject: [{ type: 'serialNumber', value: 'SN-9' }] });
    await house.ask('SN-2', { csr });
    const { items } = await house.ledger.read.listAudit({ limit: 1000 });
    const acts = items.filter(({ action }) => action === 'certificate.issue');
    expect(acts.map(({ subject, outcome }) => `${subject} ${outcome}`)).toEqual([
      'device:own/SN-1 done',
      'device:own/SN-2 refused:serial-number-mismatch',
    ]);
  });

  test('a refusal stands where it cannot be recorded', async () => {
    using house = await openTestHouse();
    const csr = newCsr(newKey(), { subject: [{ type: 'serialNumber', value: 'SN-9' }] });
    house.clock.pass(-10 * DAY_MS);
    expect(outcomeCode(await house.ask('SN-2', { csr }))).toBe('serial-number-mismatch');
  });
});

describe('hardware', () => {
  const module = (hwSerialNum: string) =>
    encode(
      extensions.subjectAltName([
        { kind: 'hardwareModule', hwType: '1.3.6.1.4.1.99999.1.1', hwSerialNum: Buffer.from(hwSerialNum) },
      ]),
    ).toString('hex');

  test('is in an IDevID where it is known', async () => {
    using house = await openTestHouse();
    const hardware = { hwType: '1.3.6.1.4.1.99999.1.1', hwSerialNum: Buffer.from('hw-9') };
    expect((await house.grant('SN-1', { hardware })).certificate.toString('hex')).toContain(module('hw-9'));
    expect((await house.grant('SN-2')).certificate.toString('hex')).not.toContain(module('hw-9'));
  });

  test("is the serial number under the profile's type where nothing is told", async () => {
    using house = await openTestHouse({ profiles: { idevid: { hwType: '1.3.6.1.4.1.99999.1.1' } } });
    expect((await house.grant('SN-0001')).certificate.toString('hex')).toContain(module('SN-0001'));
  });

  test('is not in the certificate of a profile that has none', async () => {
    using house = await openTestHouse();
    const hardware = { hwType: '1.2.3', hwSerialNum: Buffer.from('hw-9') };
    const { certificate } = await house.grant('SN-1', { hardware, profile: 'ldevid' });
    expect(findExtension(parseCertificate(certificate).tbs, EXTENSION.subjectAltName)).toBeUndefined();
  });
});

test('the subjectKeyIdentifier is that of the key, where the profile has one', async () => {
  using house = await openTestHouse();
  const has = async (profile: string) =>
    findExtension(
      parseCertificate((await house.grant('SN-1', { profile })).certificate).tbs,
      EXTENSION.subjectKeyIdentifier,
    ) !== undefined;
  expect([await has('idevid'), await has('ldevid')]).toEqual([false, true]);
});

test('outcomes stand in the order of the requests', async () => {
  using house = await openTestHouse();
  const bad = Buffer.of(0x30);
  const requests = Array.from({ length: 70 }, (_, at) =>
    house.request(`SN-${at}`, at % 5 === 3 ? { csr: bad } : {}),
  );
  const outcomes = await house.enroll(requests, operatorAdmission('x'));
  expect(
    outcomes.map((outcome) => ('serialNumber' in outcome ? outcome.serialNumber : outcome.code)),
  ).toEqual(requests.map(({ device }, at) => (at % 5 === 3 ? 'bad-der' : device.serialNumber)));
});

test('no request at all asks the ledger nothing; one that is refused at once leaves its audit record only', async () => {
  let writes = 0;
  const faulty = (ledger: Ledger): Ledger => ({
    read: ledger.read,
    write: (work) => {
      writes += 1;
      return ledger.write(work);
    },
  });
  using house = await openTestHouse({ faulty });
  expect(await house.enroll([], operatorAdmission('x'))).toEqual([]);
  expect(writes).toBe(0);
  expect(
    (await house.enroll([house.request('SN-1', { csr: Buffer.of(1) })], operatorAdmission('x'))).map(
      outcomeCode,
    ),
  ).toEqual(['bad-der']);
  expect(writes).toBe(1);
});

test('a clock that went back refuses each request and reserves nothing', async () => {
  using house = await openTestHouse();
  await house.grant('SN-0');
  house.clock.pass(-3_600_000);
  expect(outcomeCode(await house.ask('SN-1'))).toBe('clock-went-back');
  expect(await house.ledger.read.findReserved(10)).toEqual([]);
  house.clock.pass(3_600_000);
  expect(outcomeCode(await house.ask('SN-1'))).toBe('granted');
});

test('an authority that has expired issues nothing', async () => {
  using house = await openTestHouse();
  house.clock.pass(41 * 365 * 86_400_000);
  expect(outcomeCode(await house.ask('SN-1'))).toBe('authority-expired');
});

test('a fault of ours is thrown, and no outcome of anybody', async () => {
  using house = await openTestHouse();
  const broken = { ...operatorAdmission('x'), redeem: () => Promise.reject(new TypeError('ours')) };
  await expect(house.enroll([house.request('SN-1')], broken)).rejects.toThrow(TypeError);
});

test('a certificate says the serial that the ledger keeps', async () => {
  using house = await openTestHouse();
  const { serial, certificate } = await house.grant('SN-1');
  expect(Buffer.from(parseCertificate(certificate).tbs.serial)).toEqual(Buffer.from(serial));
  const record = only((await house.ledger.read.searchCertificates({ limit: 10 })).items);
  expect(Buffer.from(record.serial)).toEqual(Buffer.from(serial));
});
