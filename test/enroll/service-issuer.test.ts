import { describe, expect, test } from 'vitest';
import type { ServiceRequest } from '../../src/enroll/service-issuer.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { encode } from '../../src/x509/der/encode.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { nameToText } from '../../src/x509/name.ts';
import { hashKey } from '../../src/x509/public-key.ts';
import { codeOfAsync, newCsr, newKey, only, openTestHouse, type TestHouse } from '../house.ts';
import { weakCsrs } from './weak-csrs.ts';

function request(
  house: TestHouse,
  changes: Partial<ServiceRequest> = {},
  profile = 'server',
): ServiceRequest {
  return {
    profile: house.issuing.profile(profile),
    csr: newCsr(),
    name: 'broker.example',
    dns: profile === 'server' ? ['broker.example'] : [],
    ip: [],
    ...changes,
  };
}

function issue(house: TestHouse, changes: Partial<ServiceRequest> = {}, profile = 'server') {
  return house.issueService(request(house, changes, profile), 'local');
}

async function acts({ ledger }: TestHouse): Promise<string[]> {
  const { items } = await ledger.read.listAudit({ limit: 100 });
  return items.map(({ action, subject, outcome }) => `${action} ${subject} ${outcome}`);
}

test('a server certificate has its names as alternative names, and none from the CSR', async () => {
  using house = await openTestHouse();
  const csr = newCsr(newKey(), { subject: [{ type: 'CN', value: 'evil.example' }] });
  const { certificate, notGranted } = await issue(house, {
    csr,
    dns: ['Broker.Example', '*.lab.example'],
    ip: ['192.0.2.1', '2001:db8::1'],
  });
  const { tbs } = parseCertificate(certificate);
  const names = extensions.subjectAltName([
    { kind: 'dns', name: 'broker.example' },
    { kind: 'dns', name: '*.lab.example' },
    { kind: 'ip', address: Uint8Array.of(192, 0, 2, 1) },
    { kind: 'ip', address: Buffer.from('20010db8000000000000000000000001', 'hex') },
  ]);
  expect(Buffer.from(tbs.raw).toString('hex')).toContain(encode(names).toString('hex'));
  expect(nameToText(tbs.subject)).toBe('O=Lab');
  expect(notGranted).toEqual(['subject CN=evil.example']);
  expect(await acts(house)).toEqual(['certificate.issue server:broker.example done']);
});

test('an operator certificate may sign in from the moment it is there, as what it was issued for', async () => {
  using house = await openTestHouse();
  const { serial, certificate } = await issue(house, { name: 'anna', role: 'operator' }, 'operator');
  expect(nameToText(parseCertificate(certificate).tbs.subject)).toBe('O=Lab, CN=anna');
  expect(await house.ledger.read.findOperator(serial)).toMatchObject({ name: 'anna', role: 'operator' });
  const least = await issue(house, { name: 'otto' }, 'operator');
  expect(await house.ledger.read.findOperator(least.serial)).toMatchObject({ role: 'auditor' });
});

test('a server certificate signs nobody in', async () => {
  using house = await openTestHouse();
  const { serial } = await issue(house, { role: 'admin' });
  expect(await house.ledger.read.findOperator(serial)).toBeUndefined();
});

describe('refuses', () => {
  test.each<[string, Partial<ServiceRequest>, string]>([
    ['no name at all', { dns: [] }, 'name-invalid'],
    ['a name with an underscore', { dns: ['a_b.example'] }, 'name-invalid'],
    ['a name with a space', { dns: ['a b'] }, 'name-invalid'],
    ['a wildcard in the middle', { dns: ['a.*.example'] }, 'name-invalid'],
    ['a wildcard that is part of a label', { dns: ['a*.example'] }, 'name-invalid'],
    ['a name that ends with a dot', { dns: ['a.example.'] }, 'name-invalid'],
    ['a label of 64 characters', { dns: [`${'a'.repeat(64)}.example`] }, 'name-invalid'],
    ['a name of 254 characters', { dns: [`${'a.'.repeat(126)}bc`] }, 'name-invalid'],
    ['a name with a line feed', { dns: ['a.example\n'] }, 'name-invalid'],
    ['an address with a zone', { ip: ['fe80::1%eth0'] }, 'name-invalid'],
    ['an address with a mask', { ip: ['192.0.2.0/24'] }, 'name-invalid'],
    ['half an address', { ip: ['192.0.2'] }, 'name-invalid'],
    ['an address as a name', { dns: ['192.0.2.1'] }, 'name-invalid'],
  ])('%s', async (_title, changes, code) => {
    using house = await openTestHouse();
    expect(await codeOfAsync(issue(house, changes))).toBe(code);
    expect(await house.ledger.read.findReserved(10)).toEqual([]);
    expect(await codeOfAsync(issue(house, { dns: ['a.example'] }))).toBe('accepted');
  });

  test('a long but right name is no wrong one', async () => {
    using house = await openTestHouse();
    expect(
      await codeOfAsync(issue(house, { dns: [`${'a.'.repeat(126)}b`, `${'a'.repeat(63)}.example`] })),
    ).toBe('accepted');
  });

  test("a device's profile", async () => {
    using house = await openTestHouse();
    expect(await codeOfAsync(issue(house, {}, 'idevid'))).toBe('profile-not-allowed');
  });

  test('an operator without a name that fits', async () => {
    using house = await openTestHouse();
    expect(await codeOfAsync(issue(house, { name: 'a\u001bb' }, 'operator'))).toBe('name-invalid');
  });

  test.each(
    weakCsrs().filter(([, , code]) =>
      ['key-exponent', 'key-too-small', 'bad-der', 'proof-of-possession-failed'].includes(code),
    ),
  )('a CSR with %s', async (_title, csr, code) => {
    using house = await openTestHouse();
    expect(await codeOfAsync(issue(house, { csr: csr() }))).toBe(code);
  });
});

describe('the key', () => {
  test('of a holder serves it again, and nobody else', async () => {
    using house = await openTestHouse();
    const csr = newCsr();
    const first = await issue(house, { csr });
    const second = await issue(house, { csr, dns: ['other.example'] });
    expect(second.serial).not.toEqual(first.serial);
    expect(await codeOfAsync(issue(house, { csr, name: 'other' }))).toBe('key-in-use');
    expect(await codeOfAsync(issue(house, { csr }, 'operator'))).toBe('key-in-use');
  });

  test('of a device is refused, audited, and an incident', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.grant('SN-1', { key });
    expect(await codeOfAsync(issue(house, { csr: newCsr(key) }))).toBe('key-in-use');
    expect((await acts(house)).at(-1)).toBe('certificate.issue server:broker.example refused:key-in-use');
    expect(only((await house.ledger.read.listIncidents({ limit: 10 })).items)).toMatchObject({
      kind: 'key-in-use',
      subject: 'server:broker.example',
    });
  });

  test('of a server is refused to a device', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await issue(house, { csr: newCsr(key) });
    expect(await house.ask('SN-1', { key })).toMatchObject({ code: 'key-in-use' });
  });

  test('that is blocked is refused and audited', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.ledger.write((tx) => tx.blockKey(hashKey(key.spki), 'published', 1));
    expect(await codeOfAsync(issue(house, { csr: newCsr(key) }))).toBe('key-blocked');
    expect(await acts(house)).toEqual(['certificate.issue server:broker.example refused:key-blocked']);
  });
});
