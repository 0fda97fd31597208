import { describe, expect, test } from 'vitest';
import { readTbsCertificate } from '../../src/x509/certificate.ts';
import { compareIdentity } from '../../src/x509/compare-identity.ts';
import { parseCsr } from '../../src/x509/csr.ts';
import { type Der, encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { octetString, oid, printableString, utf8String } from '../../src/x509/der/values.ts';
import { codeOf } from './code-of.ts';
import { DEVICE_NAME, sampleCsr, sampleKey, sampleTbs } from './samples.ts';
import { tlv } from './tlv.ts';

const key = sampleKey('P-256');
const rdn = (type: string, value: Der) => setOf(sequence(oid(type), value));
const name = (o: Der, serialNumber: Der) =>
  encode(sequence(rdn('2.5.4.10', o), rdn('2.5.4.5', serialNumber)));
const dns = (text: string) => tlv(0x82, Buffer.from(text));
const directory = (der: Uint8Array) => tlv(0xa4, der);
const san = (...names: readonly Uint8Array[]) => sequence(oid('2.5.29.17'), octetString(tlv(0x30, ...names)));
const ask = (...extensions: readonly Der[]) => [
  sequence(oid('1.2.840.113549.1.9.14'), setOf(sequence(...extensions))),
];

interface Names {
  readonly subject?: Uint8Array;
  readonly san?: Der;
}

function compare(csr: Names, certificate: Names): readonly string[] {
  const tbs = sampleTbs('ldevid', key, key, {
    subject: certificate.subject ?? DEVICE_NAME,
    extensions: [certificate.san ?? sequence(oid('2.5.29.15'), octetString(tlv(0x03, Buffer.of(7, 0x80))))],
  });
  const request = sampleCsr(key, {
    subject: csr.subject ?? DEVICE_NAME,
    attributes: csr.san ? ask(csr.san) : [],
  });
  return compareIdentity(parseCsr(request), readTbsCertificate(tbs));
}

const a = { san: san(dns('a.example'), dns('b.example')) };
const lab = name(utf8String('Acme  Lab'), printableString('SN-1'));
const labAgain = name(printableString('ACME LAB '), printableString('SN-1'));
const other = name(utf8String('Acme Lab'), printableString('SN-2'));

describe('the identity is the same', () => {
  test.each<[string, Names, Names]>([
    ['with the same octets and no SAN', {}, {}],
    ['with the same octets and a SAN', a, a],
    ['where strings are encoded anew', { subject: labAgain }, { subject: lab }],
    ['where the SAN has another order', { san: san(dns('b.example'), dns('a.example')) }, a],
    [
      'where a name of the SAN is there twice',
      { san: san(dns('a.example'), dns('b.example'), dns('a.example')) },
      a,
    ],
    [
      'where a directoryName is encoded anew',
      { san: san(directory(labAgain)) },
      { san: san(directory(lab)) },
    ],
  ])('%s', (_what, csr, certificate) => {
    expect(compare(csr, certificate)).toEqual([]);
  });
});

describe('tells what is not the same', () => {
  test.each<[string, Names, Names, readonly string[]]>([
    ['another serial number', { subject: other }, { subject: lab }, ['subject-differs']],
    ['an empty subject', { subject: encode(sequence()) }, {}, ['subject-differs']],
    ['no SAN where there was one', {}, a, ['san-missing']],
    ['a SAN where there was none', a, {}, ['san-differs']],
    ['a name less', { san: san(dns('a.example')) }, a, ['san-differs']],
    ['a name more', { san: san(dns('a.example'), dns('b.example'), dns('c.example')) }, a, ['san-differs']],
    ['a name in place of another', { san: san(dns('a.example'), dns('c.example')) }, a, ['san-differs']],
    ['another case of a dNSName', { san: san(dns('A.example'), dns('b.example')) }, a, ['san-differs']],
    [
      'another type of name',
      { san: san(tlv(0x86, Buffer.from('a'))) },
      { san: san(dns('a')) },
      ['san-differs'],
    ],
    ['another directoryName', { san: san(directory(other)) }, { san: san(directory(lab)) }, ['san-differs']],
    [
      'another otherName',
      { san: san(tlv(0xa0, tlv(0x06, Buffer.of(42)), tlv(0xa0, tlv(0x0c, Buffer.from('A'))))) },
      { san: san(tlv(0xa0, tlv(0x06, Buffer.of(42)), tlv(0xa0, tlv(0x0c, Buffer.from('a'))))) },
      ['san-differs'],
    ],
    ['both', { subject: other }, { subject: lab, ...a }, ['subject-differs', 'san-missing']],
  ])('%s', (_what, csr, certificate, differences) => {
    expect(compare(csr, certificate)).toEqual(differences);
  });
});

test('refuses a SAN that is none, even where the certificate has the same', () => {
  const broken = { san: san(tlv(0x89)) };
  expect(codeOf(() => compare(broken, broken))).toBe('bad-der');
  expect(codeOf(() => compare(a, broken))).toBe('bad-der');
});
