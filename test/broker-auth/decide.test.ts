import { describe, expect, test } from 'vitest';
import { constructed, encode, primitive, sequence } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { oid } from '../../src/x509/der/values.ts';
import { certificatePolicies, extension, HARDWARE_MODULE_NAME } from '../../src/x509/extensions.ts';
import { NOW } from '../x509/path/make-certificate.ts';
import { makeMaker, named, openLab, policyConfig, reasonOf } from './lab.ts';

const [role = { name: 'device' }] = policyConfig().roles;
const DAY = 86_400_000;

describe('evidence', () => {
  using lab = openLab();
  const leaf = lab.maker.device('dev1').der;
  test('that is the certificate is enough', () => {
    expect(reasonOf(lab.show({ level: 'certificate', leaf, chain: [] }, 'dev1'))).toBe('ok');
  });
  test.each([{ level: 'name', name: 'dev1' }, { level: 'none' }] as const)(
    'that is less is denied: %o',
    (shown) => {
      expect(reasonOf(lab.show(shown, 'dev1'))).toBe('evidence');
    },
  );
  test('that is a name is enough where the listener says so, for the ClientId that goes with it', () => {
    using lax = openLab({ config: policyConfig({}, { evidence: 'name' }) });
    const verdict = lax.show({ level: 'name', name: 'dev1' }, 'dev1');
    expect(verdict).toMatchObject({
      allow: true,
      identity: { namespace: 'own', id: 'dev1' },
      status: { source: 'none' },
    });
    expect(reasonOf(lax.show({ level: 'name', name: 'dev1' }, 'dev2'))).toBe('clientId');
    expect(reasonOf(lax.show({ level: 'name', name: 'a\nb' }, 'x'))).toBe('identity');
    expect(reasonOf(lax.show({ level: 'none' }, 'dev1'))).toBe('evidence');
  });
});

test('a listener that the policy does not have is denied', () => {
  using lab = openLab();
  expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'dev1', 'other'))).toBe('listener');
});

describe('identity', () => {
  test('is the one value of its place', () => {
    using lab = openLab();
    expect(lab.connect(lab.maker.device('dev1'), 'dev1')).toMatchObject({
      allow: true,
      identity: { namespace: 'own', id: 'dev1' },
    });
  });
  test('is refused where the place is empty or there twice', () => {
    using lab = openLab();
    const twice = named('dev1', { type: 'serialNumber', value: 'dev2' });
    expect(reasonOf(lab.connect(lab.maker.device('dev1', { fields: {} }), 'device'))).toBe('identity');
    expect(reasonOf(lab.connect(lab.maker.device('dev1', twice), 'dev1'))).toBe('identity');
  });
  test('is another place where the policy says so', () => {
    using lab = openLab({ config: policyConfig({ identity: 'commonName' }) });
    const device = lab.maker.device('dev1', named('dev1', { type: 'CN', value: 'one' }));
    expect(reasonOf(lab.connect(device, 'one'))).toBe('ok');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('clientId');
  });
  test('is not read out of names that nobody can read', () => {
    using lab = openLab();
    // A HardwareModuleName that is no SEQUENCE, in a subjectAltName that is well formed.
    const broken = constructed(TAG.contextConstructed, [
      oid(HARDWARE_MODULE_NAME),
      constructed(TAG.contextConstructed, [primitive(TAG.octetString, Uint8Array.of(1))]),
    ]);
    const device = lab.maker.device('dev1', {
      extra: [extension('2.5.29.17', false, encode(sequence(broken)))],
    });
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('malformed');
  });
  test('is told of a device whose certificate was taken back', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    lab.status.tell(device, lab.maker.issuer, 'revoked');
    expect(lab.connect(device, 'dev1')).toMatchObject({ reason: 'revoked', identity: { id: 'dev1' } });
  });
});

describe('a role', () => {
  const roles = [
    { ...role, name: 'gateway', policies: ['1.3.6.1.4.1.99999.7'], publish: ['#'] },
    { ...role, name: 'device', issuers: ['own CA'] },
  ];
  test('is the first that fits', () => {
    using lab = openLab({ config: policyConfig({ roles }) });
    const gateway = lab.maker.device('gw', { extra: [certificatePolicies(['1.3.6.1.4.1.99999.7'])] });
    expect(lab.connect(gateway, 'gw')).toMatchObject({ role: 'gateway' });
    expect(lab.connect(lab.maker.device('dev1'), 'dev1')).toMatchObject({ role: 'device' });
  });
  test('that does not fit is not given', () => {
    const only = policyConfig({ roles: roles.map((one) => ({ ...one, issuers: ['another CA'] })) });
    using lab = openLab({ config: only });
    expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'dev1'))).toBe('role');
  });
  test('that the listener is not for is not given', () => {
    const config = policyConfig({
      roles: roles.map((one) => one),
      listeners: { mqtt: { roles: ['gateway'] }, all: {} },
    });
    using lab = openLab({ config });
    const device = lab.maker.device('dev1');
    expect(reasonOf(lab.connect(device, 'dev1', 'mqtt'))).toBe('role');
    expect(reasonOf(lab.connect(device, 'dev1', 'all'))).toBe('ok');
  });
  test('of one namespace is not for another', () => {
    const [own, acme] = [makeMaker('own'), makeMaker('acme')];
    const config = policyConfig({ roles: [{ ...role, namespaces: ['own'] }] });
    using lab = openLab({ makers: [own, acme], config });
    const show = (der: Uint8Array) =>
      reasonOf(lab.show({ level: 'certificate', leaf: der, chain: [] }, 'dev1'));
    expect(show(own.device('dev1').der)).toBe('ok');
    expect(show(acme.device('dev1').der)).toBe('role');
  });
});

describe('the ClientId', () => {
  test('is the id, and no other', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    expect(reasonOf(lab.connect(device, 'dev2'))).toBe('clientId');
    expect(reasonOf(lab.connect(device, ''))).toBe('clientId');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
  });
  test.each([
    [true, 'exclusive'],
    [false, 'ok'],
  ])('may not be a second one where the role is exclusive: %s', (exclusive, reason) => {
    const config = policyConfig({ roles: [{ ...role, clientId: { bind: 'prefix', exclusive } }] });
    using lab = openLab({ config });
    const device = lab.maker.device('dev1');
    expect(reasonOf(lab.connect(device, 'dev1-a'))).toBe('ok');
    expect(reasonOf(lab.connect(device, 'dev1-b'))).toBe(reason);
    expect(reasonOf(lab.connect(device, 'dev1-a'))).toBe('ok');
  });
});

test('a device whose name is hostile to topics gets none of them, whatever else allows it', () => {
  const config = policyConfig({ roles: [{ ...role, clientId: { bind: 'any' } }] });
  using lab = openLab({ config });
  expect(reasonOf(lab.connect(lab.maker.device('a/b'), 'x'))).toBe('topicRules');
  expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'y'))).toBe('ok');
});

describe('a session ends', () => {
  test('with the certificate', () => {
    using lab = openLab();
    expect(lab.connect(lab.maker.device('dev1'), 'dev1')).toMatchObject({
      until: NOW + DAY,
      untilBy: 'credential',
    });
  });
  test.each([
    [0, 3_600_000],
    [255, 3_600_000 * 0.8],
  ])('after its age, less a part of the jitter: chance %i', (random, ms) => {
    using lab = openLab({
      config: policyConfig({}, { maxSessionSeconds: 3600, sessionJitter: 0.2 }),
      random,
    });
    expect(lab.connect(lab.maker.device('dev1'), 'dev1')).toMatchObject({
      until: NOW + ms,
      untilBy: 'sessionAge',
    });
  });
  test('with the certificate where that is sooner', () => {
    using lab = openLab({ config: policyConfig({}, { maxSessionSeconds: 7 * 86_400, sessionJitter: 0 }) });
    expect(lab.connect(lab.maker.device('dev1'), 'dev1')).toMatchObject({ untilBy: 'credential' });
  });
});

describe('a guest, whom our authority enrolled for another manufacturer', () => {
  const maker = makeMaker('own');
  const trust = { ...maker.trust, guests: { ownUnits: ['Line 2'] } };
  const roles = [
    { ...role, name: 'ours' },
    {
      name: 'guest',
      namespaces: ['acme'],
      clientId: { bind: 'equal' as const, to: ['${namespace}/${id}'] },
    },
  ];
  const unit = (...values: readonly string[]) =>
    maker.device('dev1', named('dev1', ...values.map((value) => ({ type: 'OU', value }) as const)));
  const asked = (device: ReturnType<typeof unit>, clientId: string) => {
    using lab = openLab({ makers: [{ ...maker, trust }], config: policyConfig({ roles }) });
    return lab.connect(device, clientId);
  };

  test('is somebody else than our device of that number', () => {
    expect(asked(unit('Line 2'), 'dev1')).toMatchObject({ identity: { namespace: 'own' }, role: 'ours' });
    expect(asked(unit('acme'), 'acme/dev1')).toMatchObject({
      identity: { namespace: 'acme' },
      role: 'guest',
    });
    expect(asked(unit('acme', 'Line 2'), 'acme/dev1')).toMatchObject({ role: 'guest' });
    expect(reasonOf(asked(unit('acme'), 'dev1'))).toBe('clientId');
  });
  test('has no role but one that names its namespace', () => {
    expect(reasonOf(asked(unit('other'), 'dev1'))).toBe('role');
    expect(reasonOf(asked(unit('acme', 'other'), 'acme/dev1'))).toBe('role');
  });
});
