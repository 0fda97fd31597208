import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { parseCsr, verifyPossession } from '../../src/x509/csr.ts';
import { type Der, sequence } from '../../src/x509/der/encode.ts';
import { octetString, oid, time, unsigned } from '../../src/x509/der/values.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { nameToText, parseName } from '../../src/x509/name.ts';
import { keyIdentifier } from '../../src/x509/public-key.ts';
import { readByOthers } from '../../src/x509/second-opinion.ts';
import { codeOf } from './code-of.ts';
import {
  ALL_KEY_KINDS,
  CA_NAME,
  type KeyKind,
  type SampleKey,
  sampleCertificate,
  sampleCsr,
  sampleKey,
  signed,
} from './samples.ts';
import { encodeTbsCertList } from './tbs-cert-list.ts';
import { hex } from './tlv.ts';

const { subtle } = webcrypto;
const NOT_BEFORE = new Date('2026-01-02T03:04:05Z');
const NO_END = new Date('9999-12-31T23:59:59Z');

/** Kinds as WebCrypto calls them; pkijs knows no Ed25519. */
const WEB: Readonly<
  Record<KeyKind, webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | { name: string }>
> = {
  'P-256': { name: 'ECDSA', namedCurve: 'P-256' },
  'P-384': { name: 'ECDSA', namedCurve: 'P-384' },
  'P-521': { name: 'ECDSA', namedCurve: 'P-521' },
  Ed25519: { name: 'Ed25519' },
  'RSA-2048': {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: 'SHA-256',
  },
};
const HASHES: Readonly<Record<KeyKind, string>> = {
  'P-256': 'SHA-256',
  'P-384': 'SHA-384',
  'P-521': 'SHA-512',
  Ed25519: 'SHA-512',
  'RSA-2048': 'SHA-256',
};
const PKIJS_KINDS = ALL_KEY_KINDS.filter((kind) => kind !== 'Ed25519');

const webKeys = async (kind: KeyKind) =>
  (await subtle.generateKey(WEB[kind], true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
const spkiOf = async (keys: webcrypto.CryptoKeyPair) =>
  Buffer.from(await subtle.exportKey('spki', keys.publicKey));

describe('they read what we wrote', () => {
  test.each(ALL_KEY_KINDS)('a CSR of %s', async (kind) => {
    const csr = sampleCsr(sampleKey(kind));
    const request = new x509.Pkcs10CertificateRequest(csr.slice());
    expect(await request.verify(webcrypto)).toBe(true);
    expect(request.subjectName.toString()).toBe('O=Bürklin Lab, 2.5.4.5=SN-0001');
    const changed = Buffer.from(csr);
    changed.write('SN-0002', changed.indexOf('SN-0001'));
    expect(await new x509.Pkcs10CertificateRequest(changed.slice()).verify(webcrypto)).toBe(false);
    if (kind !== 'Ed25519') {
      expect(await pkijs.CertificationRequest.fromBER(csr.slice()).verify()).toBe(true);
    }
  });

  const entry = (serial: string, ...rest: readonly Der[]) =>
    sequence(unsigned(hex(serial)), time(Date.UTC(2026, 1, 3)), ...rest);
  const reason = (code: number) =>
    sequence(sequence(oid('2.5.29.21'), octetString(Uint8Array.of(0x0a, 1, code))));
  const crl = (key: SampleKey, entries: readonly Der[], more: readonly Der[] = []) =>
    signed(
      key,
      encodeTbsCertList({
        signatureAlgorithm: key.algorithm.der,
        issuer: CA_NAME,
        thisUpdate: Date.UTC(2026, 0, 2),
        nextUpdate: Date.UTC(2026, 0, 9),
        entries,
        extensions: [
          extensions.authorityKeyIdentifier(keyIdentifier(key.spki)),
          extensions.crlNumber(300),
          ...more,
        ],
      }),
    );

  test.each(ALL_KEY_KINDS)('a CRL of %s without entries, which has no revokedCertificates', async (kind) => {
    const key = sampleKey(kind);
    const issuer = new x509.X509Certificate(sampleCertificate('ca', key, key).slice());
    const der = crl(
      key,
      [],
      [extensions.issuingDistributionPoint({ url: 'http://pki.example/crl/1.crl', onlyUserCerts: true })],
    );
    const list = new x509.X509Crl(der.slice());
    expect(await list.verify({ publicKey: issuer.publicKey }, webcrypto)).toBe(true);
    expect(list.entries).toEqual([]);
    expect(list.nextUpdate).toEqual(new Date('2026-01-09T00:00:00Z'));
    expect(list.extensions.map(({ type, critical }) => [type, critical])).toEqual([
      ['2.5.29.35', false],
      ['2.5.29.20', false],
      ['2.5.29.28', true],
    ]);
    const other = pkijs.CertificateRevocationList.fromBER(der.slice());
    expect(other.revokedCertificates).toBeUndefined();
    if (kind === 'Ed25519') return;
    const issuerCertificate = pkijs.Certificate.fromBER(sampleCertificate('ca', key, key).slice());
    expect(await other.verify({ issuerCertificate })).toBe(true);
  });

  test('a CRL with entries', async () => {
    const key = sampleKey('P-256');
    const issuer = new x509.X509Certificate(sampleCertificate('ca', key, key).slice());
    const der = crl(key, [entry('019a80', reason(1)), entry('ff01')]);
    const list = new x509.X509Crl(der.slice());
    expect(await list.verify({ publicKey: issuer.publicKey }, webcrypto)).toBe(true);
    expect(list.entries.map(({ serialNumber, reason: why }) => [serialNumber, why])).toEqual([
      ['019a80', x509.X509CrlReason.keyCompromise],
      ['ff01', undefined],
    ]);
    const other = pkijs.CertificateRevocationList.fromBER(der.slice());
    expect(other.revokedCertificates?.length).toBe(2);
    expect(
      other.isCertificateRevoked(pkijs.Certificate.fromBER(sampleCertificate('ca', key, key).slice())),
    ).toBe(false);
  });

  test('a CRL of 200 000 entries comes out whole', () => {
    const key = sampleKey('P-256');
    const entries = Array.from({ length: 200_000 }, (_, at) =>
      entry((at + 0x100_0000).toString(16).padStart(8, '0')),
    );
    const der = crl(key, entries);
    expect(der.subarray(0, 2)).toEqual(hex('30 83'));
    expect(der.readUIntBE(2, 3)).toBe(der.length - 5);
    expect(der.length).toBeGreaterThan(4_000_000);
  });

  test('hardwareModuleName', () => {
    const key = sampleKey('P-256');
    const certificate = new x509.X509Certificate(sampleCertificate('idevid', key, key).slice());
    const value = certificate.getExtension('2.5.29.17')?.value ?? new ArrayBuffer();
    const names = new pkijs.GeneralNames({ schema: asn1js.fromBER(value).result });
    expect(names.names.map(({ type }) => type)).toEqual([0]);
    expect(Buffer.from(value).toString('hex')).toBe(
      hex(`30 25 a0 23 06 08 2b 06 01 05 05 07 08 04 a0 17 30 15
           06 0a 2b 06 01 04 01 86 8d 1f 01 01 04 07 53 4e 2d 30 30 30 31`).toString('hex'),
    );
  });
});

describe('we read what they wrote', () => {
  test.each(ALL_KEY_KINDS)('a CSR of %s by @peculiar/x509', async (kind) => {
    const keys = await webKeys(kind);
    const request = await x509.Pkcs10CertificateRequestGenerator.create(
      {
        name: 'CN=Gerät 7, O=Lab, 2.5.4.5=SN-7',
        keys,
        signingAlgorithm: { ...WEB[kind], hash: HASHES[kind] },
        extensions: [
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'd.example' }]),
        ],
        attributes: [new x509.ChallengePasswordAttribute('secret')],
      },
      webcrypto,
    );
    const csr = parseCsr(Buffer.from(request.rawData));
    expect(codeOf(() => verifyPossession(csr))).toBe('accepted');
    expect(
      parseName(csr.subject)
        .flat()
        .map(({ value }) => value),
    ).toEqual(['Gerät 7', 'Lab', 'SN-7']);
    expect(Buffer.from(csr.spki)).toEqual(await spkiOf(keys));
    expect(csr.requestedExtensions.map(({ oid: type, critical }) => [type, critical])).toEqual([
      ['2.5.29.15', true],
      ['2.5.29.17', false],
    ]);
    expect(csr.otherAttributes).toEqual(['1.2.840.113549.1.9.7']);
  });

  test.each(PKIJS_KINDS)('a CSR of %s by pkijs', async (kind) => {
    const keys = await webKeys(kind);
    const request = new pkijs.CertificationRequest({ version: 0, attributes: [] });
    request.subject.typesAndValues.push(
      new pkijs.AttributeTypeAndValue({
        type: '2.5.4.5',
        value: new asn1js.PrintableString({ value: 'SN-7' }),
      }),
    );
    await request.subjectPublicKeyInfo.importKey(keys.publicKey);
    await request.sign(keys.privateKey, HASHES[kind]);
    const csr = parseCsr(Buffer.from(request.toSchema().toBER()));
    expect(codeOf(() => verifyPossession(csr))).toBe('accepted');
    expect(parseName(csr.subject).flat()).toEqual([{ oid: '2.5.4.5', tag: 0x13, value: 'SN-7' }]);
    expect(Buffer.from(csr.spki)).toEqual(await spkiOf(keys));
  });

  test.each(ALL_KEY_KINDS)('a certificate of %s by @peculiar/x509', async (kind) => {
    const keys = await webKeys(kind);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned(
      {
        serialNumber: '0080ff',
        name: 'O=Lab, CN=CA',
        notBefore: NOT_BEFORE,
        notAfter: NO_END,
        keys,
        signingAlgorithm: { ...WEB[kind], hash: HASHES[kind] },
        extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
      },
      webcrypto,
    );
    const der = Buffer.from(certificate.rawData);
    const { tbs } = parseCertificate(der);
    expect(Buffer.from(tbs.serial)).toEqual(hex('0080ff'));
    expect([tbs.notBefore.at, tbs.notAfter.at]).toEqual([NOT_BEFORE.getTime(), NO_END.getTime()]);
    expect(nameToText(tbs.subject)).toBe('O=Lab, CN=CA');
    expect(tbs.extensions.map(({ oid: type, critical }) => [type, critical])).toEqual([['2.5.29.19', true]]);
    expect(Buffer.from(tbs.spki)).toEqual(await spkiOf(keys));
    expect(await readByOthers(der)).toEqual([]);
  });
});
