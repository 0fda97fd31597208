import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  assembleSigned,
  findExtension,
  parseCertificate,
  readCertificate,
  readTbsCertificate,
} from '../../src/x509/certificate.ts';
import { type Der, encode, explicit, sequence } from '../../src/x509/der/encode.ts';
import { NO_EXPIRY } from '../../src/x509/der/time.ts';
import { integer, octetString, oid, time } from '../../src/x509/der/values.ts';
import { EXTENSION, keyUsage } from '../../src/x509/extensions.ts';
import { codeOf } from './code-of.ts';
import { CA_NAME, DEVICE_NAME, SHAPES, sampleCertificate, sampleKey, sampleTbs, signed } from './samples.ts';
import { hex, tlv } from './tlv.ts';

const key = sampleKey('P-256');
const ca = sampleKey('P-256');
const good = sampleCertificate('idevid', key, ca);
const goodTbs = sampleTbs('idevid', key, ca);
const SIGNATURE = hex('30 06 02 01 01 02 01 01');

describe('what is written', () => {
  test.each(SHAPES)('a certificate of shape %s is read back, and node:crypto reads the same', (shape) => {
    const der = sampleCertificate(shape, key, ca);
    const { tbs } = parseCertificate(der);
    const other = new X509Certificate(der);
    expect(Buffer.from(tbs.serial).toString('hex').toUpperCase()).toBe(other.serialNumber);
    expect(tbs.notBefore.at).toBe(other.validFromDate.getTime());
    expect(tbs.notAfter.at).toBe(other.validToDate.getTime());
    expect(Buffer.from(tbs.issuer)).toEqual(CA_NAME);
    expect(Buffer.from(tbs.subject)).toEqual(shape === 'ca' ? CA_NAME : DEVICE_NAME);
    expect(Buffer.from(tbs.spki)).toEqual(other.publicKey.export({ format: 'der', type: 'spki' }));
    expect(other.ca).toBe(shape === 'ca');
    expect(tbs.version).toBe(3);
  });

  test('an IDevID has no end: GeneralizedTime 99991231235959Z (RFC 5280 §4.1.2.5)', () => {
    const { tbs } = parseCertificate(good);
    expect(tbs.notAfter).toEqual({ tag: 0x18, at: NO_EXPIRY });
    expect(tbs.notBefore.tag).toBe(0x17);
    expect(good.includes('99991231235959Z')).toBe(true);
  });

  test('a serial number with its top bit set stays positive', () => {
    const tbs = readTbsCertificate(sampleTbs('idevid', key, ca, { serial: hex('ff 01') }));
    expect(Buffer.from(tbs.serial)).toEqual(hex('00 ff 01'));
  });

  test('finds an extension by its type', () => {
    const { tbs } = readCertificate(good);
    expect(findExtension(tbs, EXTENSION.keyUsage)?.critical).toBe(true);
    expect(findExtension(tbs, EXTENSION.nameConstraints)).toBeUndefined();
  });
});

describe('what is read', () => {
  const algorithm = ca.algorithm.der;
  const validity = sequence(time(Date.UTC(2026, 0, 1)), time(NO_EXPIRY));
  const usage = keyUsage(['digitalSignature']);
  /** A certificate of these fields; its signature is one of the right form only. */
  const of = (...fields: readonly Der[]) => assembleSigned(encode(sequence(...fields)), algorithm, SIGNATURE);
  const v3 = explicit(0, integer(2));
  const rest: readonly Der[] = [integer(7), algorithm, CA_NAME, validity, DEVICE_NAME, key.spki];
  const withExtensions = (...extensions: readonly Der[]) =>
    of(v3, ...rest, explicit(3, sequence(...extensions)));
  const withValidity = (...times: readonly Der[]) =>
    of(v3, integer(7), algorithm, CA_NAME, sequence(...times), DEVICE_NAME, key.spki);
  const uniqueId = (number: number) => hex(`8${number} 02 00 aa`);

  test.each<readonly [title: string, der: Uint8Array, code: string]>([
    ['the sample', good, 'accepted'],
    ['extensions', withExtensions(usage), 'accepted'],
    ['no extensions', of(v3, ...rest), 'accepted'],
    ['unique identifiers', of(v3, ...rest, uniqueId(1), uniqueId(2)), 'accepted'],
    ['unique identifiers in the wrong order', of(v3, ...rest, uniqueId(2), uniqueId(1)), 'bad-der'],
    ['v1 as it should be', of(...rest), 'accepted'],
    ['v1 written out, which is the default', of(explicit(0, integer(0)), ...rest), 'bad-der'],
    ['a version with something behind it', of(tlv(0xa0, hex('02 01 02 05 00')), ...rest), 'bad-der'],
    ['a negative version', of(tlv(0xa0, hex('02 01 ff')), ...rest), 'bad-der'],
    ['a padded serial number', of(v3, hex('02 02 00 07'), ...rest.slice(1)), 'bad-der'],
    ['an empty serial number', of(v3, hex('02 00'), ...rest.slice(1)), 'bad-der'],
    ['a negative serial number, for the lint to see', of(v3, hex('02 01 ff'), ...rest.slice(1)), 'accepted'],
    ['an empty list of extensions', withExtensions(), 'bad-der'],
    [
      'extensions with something behind the list',
      of(v3, ...rest, tlv(0xa3, tlv(0x30, encode(usage)), hex('05 00'))),
      'bad-der',
    ],
    [
      'something behind the extensions',
      of(v3, ...rest, explicit(3, sequence(usage)), hex('05 00')),
      'bad-der',
    ],
    [
      'extensions before a unique identifier',
      of(v3, ...rest, explicit(3, sequence(usage)), uniqueId(1)),
      'bad-der',
    ],
    ['no key', of(v3, ...rest.slice(0, -1)), 'bad-der'],
    ['an issuer that is a SET', of(v3, integer(7), algorithm, hex('31 00'), ...rest.slice(3)), 'bad-der'],
    [
      'an issuer that has a string in pieces',
      of(v3, integer(7), algorithm, hex('30 05 24 03 04 01 aa'), ...rest.slice(3)),
      'bad-der',
    ],
    ['one time', withValidity(time(0)), 'bad-der'],
    ['three times', withValidity(time(0), time(0), time(0)), 'bad-der'],
    ['a time without seconds', withValidity(tlv(0x17, Buffer.from('2601020304Z')), time(0)), 'bad-der'],
    ['an impossible date', withValidity(time(0), tlv(0x17, Buffer.from('260230000000Z'))), 'bad-der'],
    ['an octet behind it', Buffer.concat([good, hex('00')]), 'bad-der'],
    ['an octet too few', good.subarray(0, -1), 'bad-der'],
    [
      'a signature that is not of whole octets',
      encode(sequence(goodTbs, algorithm, hex('03 02 01 aa'))),
      'bad-der',
    ],
    [
      'a signature that is an OCTET STRING',
      encode(sequence(goodTbs, algorithm, octetString(SIGNATURE))),
      'bad-der',
    ],
    ['an algorithm that is an OID', encode(sequence(goodTbs, oid('1.2.3'), hex('03 01 00'))), 'bad-der'],
    [
      'something behind the signature',
      encode(sequence(goodTbs, algorithm, hex('03 01 00'), hex('05 00'))),
      'bad-der',
    ],
    ['a tbsCertificate alone', goodTbs, 'bad-der'],
    ['nothing', hex(''), 'bad-der'],
  ])('takes or refuses: %s', (_title, der, code) => {
    expect(codeOf(() => readCertificate(der))).toBe(code);
  });

  test.each<readonly [title: string, der: Uint8Array, code: string]>([
    ['the sample', good, 'accepted'],
    ['an extension twice', withExtensions(usage, usage), 'bad-certificate'],
    ['v1', of(...rest), 'bad-certificate'],
    ['v2', of(explicit(0, integer(1)), ...rest), 'bad-certificate'],
    ['v4', of(explicit(0, integer(3)), ...rest), 'bad-certificate'],
    [
      'two algorithms',
      assembleSigned(goodTbs, sampleKey('P-384').algorithm.der, SIGNATURE),
      'bad-certificate',
    ],
    [
      'a name that is no name',
      of(v3, integer(7), algorithm, hex('30 02 05 00'), ...rest.slice(3)),
      'bad-der',
    ],
    ['more than 32 KiB', withExtensions(octetExtension(32_768)), 'bad-certificate'],
    ['30 KiB', withExtensions(octetExtension(30_000)), 'accepted'],
  ])('for use, takes or refuses: %s', (_title, der, code) => {
    expect(codeOf(() => parseCertificate(der))).toBe(code);
  });

  test('says that unique identifiers are there', () => {
    expect(readCertificate(of(v3, ...rest, uniqueId(2))).tbs.hasUniqueIds).toBe(true);
    expect(readCertificate(of(v3, ...rest)).tbs.hasUniqueIds).toBe(false);
  });

  test('refuses a tbsCertificate with an octet behind it', () => {
    expect(codeOf(() => readTbsCertificate(goodTbs))).toBe('accepted');
    expect(codeOf(() => readTbsCertificate(Buffer.concat([goodTbs, hex('00')])))).toBe('bad-der');
  });

  test('gives the octets that the signature covers', () => {
    const { tbs } = readCertificate(signed(ca, goodTbs));
    expect(Buffer.from(tbs.raw)).toEqual(goodTbs);
  });

  function octetExtension(size: number): Der {
    return sequence(oid('1.2.3'), octetString(Buffer.alloc(size)));
  }
});
