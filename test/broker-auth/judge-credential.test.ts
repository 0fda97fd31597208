import { describe, expect, test } from 'vitest';
import { createCredentialJudge } from '../../src/broker-auth/judge-credential.ts';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { NO_EXPIRY } from '../../src/x509/der/time.ts';
import { EXTENDED_KEY_USAGE, keyUsage } from '../../src/x509/extensions.ts';
import { makeAuthority, makeCertificate, NOW, type Traits } from '../x509/path/make-certificate.ts';
import { type Lab, makeMaker, named, openLab, policyConfig, reasonOf, toldStatus } from './lab.ts';

const DAY = 86_400_000;

function judged(lab: Lab, traits: Traits = {}): string {
  const verdict = lab.connect(lab.maker.device('dev1', traits), 'dev1');
  lab.gate.disconnected({ broker: 'test', clientId: 'dev1' }, 'clean');
  return reasonOf(verdict);
}

describe('a certificate', () => {
  using lab = openLab();
  test('is accepted with its chain, and without it where the policy has the intermediate', () => {
    const device = lab.maker.device('dev1');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
    expect(reasonOf(lab.show({ level: 'certificate', leaf: device.der, chain: [] }, 'dev1'))).toBe('ok');
  });
  test.each([
    ['acme', 'untrusted'],
    ['own', 'badSignature'],
  ])('is refused under a CA that nobody trusts, also where that has our names: %s', (name, reason) => {
    const other = makeMaker(name);
    const device = other.device('dev1');
    const evidence = {
      level: 'certificate',
      leaf: device.der,
      chain: [other.issuer.der, other.root.der],
    } as const;
    expect(reasonOf(lab.show(evidence, 'dev1'))).toBe(reason);
  });
  test.each([
    ['expired', 'expired', { ...named('dev1').fields, notAfter: NOW - 1 }],
    ['not valid yet', 'notYetValid', { ...named('dev1').fields, notBefore: NOW + 60_000 }],
  ])('is refused where it is %s', (_what, reason, fields) => {
    expect(judged(lab, { fields })).toBe(reason);
  });
  test('is refused with a signature that is not its', () => {
    const der = Uint8Array.from(lab.maker.device('dev1').der);
    der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 1;
    expect(reasonOf(lab.show({ level: 'certificate', leaf: der, chain: [] }, 'dev1'))).toBe('badSignature');
  });
  test('is refused where it is none', () => {
    const garbage = { level: 'certificate', leaf: Uint8Array.of(0x30, 0x80, 0), chain: [] } as const;
    expect(reasonOf(lab.show(garbage, 'dev1'))).toBe('malformed');
  });
  test('is refused for servers only', () => {
    expect(judged(lab, { purposes: [EXTENDED_KEY_USAGE.serverAuth] })).toBe('wrongUsage');
  });
  test('is refused where it is the anchor itself', () => {
    const alone = makeAuthority({ cn: 'alone', ...named('dev1') });
    using own = openLab({
      makers: [
        {
          ...lab.maker,
          trust: { namespace: 'own', anchors: [alone.der], intermediates: [] },
        },
      ],
    });
    expect(['untrusted', 'wrongUsage']).toContain(
      reasonOf(own.show({ level: 'certificate', leaf: alone.der, chain: [] }, 'dev1')),
    );
  });
});

describe('a certificate without extKeyUsage', () => {
  const none = { only: [keyUsage(['digitalSignature'])] };
  const idevid = { ...none, fields: { ...named('dev1').fields, notAfter: NO_EXPIRY } };
  const plain = { ...none, fields: { ...named('dev1').fields, notAfter: NOW + DAY } };
  test.each([
    ['refused', 'wrongUsage', 'wrongUsage'],
    ['idevid', 'ok', 'wrongUsage'],
    ['accepted', 'ok', 'ok'],
  ] as const)('under %s: an IDevID is %s, any other %s', (withoutUsage, forIdevid, forOther) => {
    using lab = openLab({ config: policyConfig({}, { preset: 'open', status: 'hard', withoutUsage }) });
    expect(judged(lab, idevid)).toBe(forIdevid);
    expect(judged(lab, plain)).toBe(forOther);
  });
  test('that one listener accepts is still refused by another', () => {
    const listeners = {
      lax: { preset: 'open', status: 'hard', withoutUsage: 'accepted' },
      idevids: { withoutUsage: 'idevid' },
      mqtt: {},
    } as const;
    using lab = openLab({ config: policyConfig({ listeners }) });
    const device = lab.maker.device('dev1', plain);
    const verdicts = ['lax', 'idevids', 'mqtt', 'lax'].map((one) =>
      reasonOf(lab.connect(device, 'dev1', one)),
    );
    expect(verdicts).toEqual(['ok', 'wrongUsage', 'wrongUsage', 'ok']);
  });
});

describe('a verdict that is remembered', () => {
  test('ends with the certificate', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    lab.status.asOf = NOW + DAY;
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
    lab.clock.pass(DAY);
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
    lab.clock.pass(1);
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('expired');
  });
  test('does not outlive a revocation', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
    lab.status.tell(device, lab.maker.issuer, 'revoked');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('revoked');
  });
});

describe('a status', () => {
  test.each([
    ['revoked', 'revoked'],
    ['held', 'onHold'],
    ['good', 'ok'],
  ] as const)('that is %s makes it %s', (status, reason) => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    lab.status.tell(device, lab.maker.issuer, status);
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe(reason);
  });
  test('that was taken back from an issuing CA takes all below it', () => {
    using lab = openLab();
    lab.status.tell(lab.maker.issuer, lab.maker.root, 'revoked');
    expect(judged(lab)).toBe('revoked');
  });
  test('of a device held and released is good again', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    lab.status.tell(device, lab.maker.issuer, 'held');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('onHold');
    lab.status.tell(device, lab.maker.issuer, 'good');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
  });

  const modes = ['hard', 'soft', 'off'] as const;
  test.each([
    ['hard', 'statusUnknown'],
    ['soft', 'ok'],
    ['off', 'ok'],
  ] as const)('that is older than allowed: %s says %s', (status, reason) => {
    using lab = openLab({ config: policyConfig({}, { preset: 'open', status, maxStatusAgeSeconds: 60 }) });
    lab.status.asOf = NOW;
    lab.clock.pass(60_000);
    expect(judged(lab)).toBe('ok');
    lab.clock.pass(1);
    expect(judged(lab)).toBe(reason);
    const verdict = lab.connect(lab.maker.device('dev1'), 'dev1');
    const gap = verdict.status?.gap;
    expect(gap).toBe(status === 'off' ? undefined : 'stale');
  });
  test.each([
    ['hard', 'statusUnknown'],
    ['soft', 'ok'],
    ['off', 'ok'],
  ] as const)('that nobody knows: %s says %s', (status, reason) => {
    using lab = openLab({
      config: policyConfig({}, { preset: 'open', status }),
      judge: { sources: [] },
    });
    expect(judged(lab)).toBe(reason);
  });
  test.each(modes)('that is known of the issuing CA is heeded where the device has none: %s', (status) => {
    const maker = makeMaker('own');
    const clock = { now: () => NOW, pass: () => undefined };
    const rootOnly = toldStatus(clock, [maker.root]);
    rootOnly.tell(maker.issuer, maker.root, 'revoked');
    using lab = openLab({
      makers: [maker],
      config: policyConfig({}, { preset: 'open', status }),
      judge: { sources: [rootOnly] },
    });
    expect(judged(lab)).toBe(status === 'off' ? 'ok' : 'revoked');
  });
  test('is what the source says that looked last, and revoked whoever says it', () => {
    const maker = makeMaker('own');
    const clock = { now: () => NOW, pass: () => undefined };
    const feed = toldStatus(clock, [maker.root, maker.issuer]);
    const ocsp = toldStatus(clock, [maker.root, maker.issuer], 'ocsp');
    const device = maker.device('dev1');
    using lab = openLab({ makers: [maker], judge: { sources: [feed, ocsp] } });
    feed.asOf = NOW - 1000;
    feed.tell(device, maker.issuer, 'held');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
    ocsp.asOf = NOW - 2000;
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('onHold');
    ocsp.tell(device, maker.issuer, 'revoked');
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('revoked');
  });
});

test('a certificate whose signature was rewritten is still the one that was revoked', () => {
  using lab = openLab();
  const device = lab.maker.device('dev1');
  const twin = rewriteSignature(device.der);
  expect(twin.equals(device.der)).toBe(false);
  expect(reasonOf(lab.show({ level: 'certificate', leaf: twin, chain: [] }, 'dev1'))).toBe('ok');
  lab.status.tell(device, lab.maker.issuer, 'revoked');
  expect(reasonOf(lab.show({ level: 'certificate', leaf: twin, chain: [] }, 'dev1'))).toBe('revoked');
});

/** s becomes n − s, which verifies as well. */
function rewriteSignature(der: Buffer): Buffer {
  const { tbs, signatureAlgorithm, signature } = parseCertificate(der);
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const rLength = signature[3] ?? 0;
  const r = signature.subarray(2, 4 + rLength);
  const s = BigInt(`0x${Buffer.from(signature.subarray(6 + rLength)).toString('hex')}`);
  const hex = (order - s).toString(16).padStart(64, '0');
  const octets = Buffer.from(/^[89a-f]/.test(hex) ? `00${hex}` : hex.replace(/^(?:00(?=[0-7]))+/, ''), 'hex');
  const wrapped = (tag: number, content: Buffer) =>
    Buffer.concat([
      Buffer.from(
        content.length < 128
          ? [tag, content.length]
          : content.length < 256
            ? [tag, 0x81, content.length]
            : [tag, 0x82, content.length >> 8, content.length & 0xff],
      ),
      content,
    ]);
  const rewritten = wrapped(0x30, Buffer.concat([r, wrapped(0x02, octets)]));
  const bits = wrapped(0x03, Buffer.concat([Buffer.from([0]), rewritten]));
  return wrapped(0x30, Buffer.concat([tbs.raw, signatureAlgorithm, bits]));
}

test('a leaf that a stranger made is not put into any namespace', () => {
  const acme = makeMaker('acme');
  const own = makeMaker('own');
  const config = policyConfig({
    roles: [{ name: 'device', clientId: { bind: 'equal', to: ['${namespace}-${id}'] } }],
  });
  using lab = openLab({ makers: [own, acme], config });
  const device = makeCertificate({ issuer: acme.issuer, ...named('dev1') });
  const verdict = lab.show({ level: 'certificate', leaf: device.der, chain: [] }, 'acme-dev1');
  expect(verdict).toMatchObject({ allow: true, identity: { namespace: 'acme', id: 'dev1' } });
  expect(reasonOf(lab.show({ level: 'certificate', leaf: device.der, chain: [] }, 'own-dev1'))).toBe(
    'clientId',
  );
});

describe('a CA that came since', () => {
  const next = makeAuthority({ cn: 'own CA 2', issuer: makeMaker('own').root });

  test('is known once somebody tells of it, and believed only under an anchor', () => {
    const maker = makeMaker('own');
    const second = makeAuthority({ cn: 'own CA 2', issuer: maker.root });
    const device = makeCertificate({ issuer: second, ...named('dev1') });
    const stray = makeCertificate({ issuer: next, ...named('dev2') });
    let told: readonly Uint8Array[] = [];
    const clock = { now: () => NOW };
    const judge = createCredentialJudge({
      trust: [maker.trust],
      intermediates: () => told,
      sources: [toldStatus({ ...clock, pass: () => undefined }, [maker.root, second, next])],
    });
    const policy = parsePolicy(policyConfig(), [maker.trust]).listeners.get('mqtt');
    if (!policy) throw new Error('there is no listener');
    const reason = (der: Uint8Array) => judge(der, [], policy, NOW).reason;
    expect(reason(device.der)).toBe('untrusted');
    told = [second.der, next.der];
    expect(reason(device.der)).toBe('ok');
    expect(reason(stray.der)).not.toBe('ok');
  });
});
