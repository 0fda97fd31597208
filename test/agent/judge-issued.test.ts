import { expect, test } from 'vitest';
import type { DeviceKey, Voucher } from '../../src/agent/index.ts';
import { judgeIssued } from '../../src/agent/judge-issued.ts';
import { EXTENDED_KEY_USAGE } from '../../src/x509/extensions.ts';
import { encodeName } from '../../src/x509/name.ts';
import { codeOf } from '../x509/code-of.ts';
import { makeAuthority, makeCertificate, NOW, type Traits } from '../x509/path/make-certificate.ts';
import { sampleKey } from '../x509/samples.ts';

const root = makeAuthority({ cn: 'Root' });
const issuing = makeAuthority({ cn: 'Issuing', issuer: root });
const key = sampleKey('P-256');
const named = (serialNumber: string) =>
  encodeName([
    { type: 'O', value: 'Lab' },
    { type: 'serialNumber', value: serialNumber },
  ]);
const deviceKey: DeviceKey = {
  spki: key.spki,
  algorithm: 'ecdsa-sha256',
  sign: () => new Uint8Array(),
  tls: () => ({ key: '' }),
};
const old = makeCertificate({ issuer: issuing, fields: { subject: named('SN-1') } });
const by: Voucher = { kind: 'current', credential: { key: deviceKey, chain: [old.der] } };
const ticket: Voucher = { kind: 'ticket', serialNumber: 'SN-1', ticket: 'x' };

const issued = (traits: Traits = {}) =>
  makeCertificate({ issuer: issuing, key, ...traits, fields: { subject: named('SN-1'), ...traits.fields } })
    .der;
const judge = (der: Uint8Array, voucher: Voucher = by, at = NOW) =>
  judgeIssued(der, { key: deviceKey, by: voucher, anchors: [root.der], intermediates: [issuing.der], at });

test('takes what is for our key and name, and gives the chain to send along, without the root', () => {
  const der = issued();
  for (const voucher of [by, ticket])
    expect(judge(der, voucher).map((one) => Buffer.from(one))).toEqual([der, issuing.der]);
});

test.each([
  ['for another key', issued({ key: 'P-256' })],
  ['for another device', issued({ fields: { subject: named('SN-2') } })],
  ['for a server alone', issued({ purposes: [EXTENDED_KEY_USAGE.serverAuth] })],
  ['of a CA that none of our roots knows', issued({ issuer: makeAuthority({ cn: 'Issuing' }) })],
  ['that has ended', issued({ fields: { notAfter: NOW - 1000 } })],
])('refuses a certificate %s', (_what, der) => {
  expect(codeOf(() => judge(der))).toBe('answer-refused');
});

test('takes one that begins later than our clock says, which may be behind', () => {
  const later = issued({ fields: { notBefore: NOW + 3600_000 } });
  expect(judge(later)[0]).toEqual(later);
});
