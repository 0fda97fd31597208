import { describe, expect, test } from 'vitest';
import { readExtensions } from '../../src/x509/certificate.ts';
import { encode, sequence } from '../../src/x509/der/encode.ts';
import { DerReader } from '../../src/x509/der/reader.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { codeOf } from './code-of.ts';
import { HARDWARE_MODULE } from './samples.ts';
import { hex } from './tlv.ts';

const written = (extension: Parameters<typeof encode>[0]) => encode(extension).toString('hex');
const of = (octets: string) => hex(octets).toString('hex');

describe('golden encodings', () => {
  test('hardwareModuleName (RFC 4108 §5): an OCTET STRING, and an EXPLICIT [0] around the value', () => {
    expect(written(extensions.subjectAltName([HARDWARE_MODULE]))).toBe(
      of(`30 2e 06 03 55 1d 11 04 27
          30 25 a0 23 06 08 2b 06 01 05 05 07 08 04
                a0 17 30 15 06 0a 2b 06 01 04 01 86 8d 1f 01 01 04 07 53 4e 2d 30 30 30 31`),
    );
  });

  test.each([
    [
      'keyUsage digitalSignature',
      extensions.keyUsage(['digitalSignature']),
      '30 0e 06 03 55 1d 0f 01 01 ff 04 04 03 02 07 80',
    ],
    [
      'keyUsage of a CA',
      extensions.keyUsage(['cRLSign', 'keyCertSign']),
      '30 0e 06 03 55 1d 0f 01 01 ff 04 04 03 02 01 06',
    ],
    [
      'basicConstraints',
      extensions.caConstraints(0),
      '30 12 06 03 55 1d 13 01 01 ff 04 08 30 06 01 01 ff 02 01 00',
    ],
    [
      'subjectKeyIdentifier',
      extensions.subjectKeyIdentifier(hex('aabb')),
      '30 0b 06 03 55 1d 0e 04 04 04 02 aa bb',
    ],
    [
      'authorityKeyIdentifier',
      extensions.authorityKeyIdentifier(hex('aabb')),
      '30 0d 06 03 55 1d 23 04 06 30 04 80 02 aa bb',
    ],
    [
      'extendedKeyUsage',
      extensions.extendedKeyUsage([extensions.EXTENDED_KEY_USAGE.clientAuth]),
      '30 13 06 03 55 1d 25 04 0c 30 0a 06 08 2b 06 01 05 05 07 03 02',
    ],
    [
      'certificatePolicies',
      extensions.certificatePolicies(['1.2.3', '1.2.4']),
      '30 15 06 03 55 1d 20 04 0e 30 0c 30 04 06 02 2a 03 30 04 06 02 2a 04',
    ],
    [
      'crlDistributionPoints',
      extensions.crlDistributionPoints('a:b'),
      '30 14 06 03 55 1d 1f 04 0d 30 0b 30 09 a0 07 a0 05 86 03 61 3a 62',
    ],
    [
      'issuingDistributionPoint',
      extensions.issuingDistributionPoint({ url: 'a:b', onlyUserCerts: true }),
      '30 18 06 03 55 1d 1c 01 01 ff 04 0e 30 0c a0 07 a0 05 86 03 61 3a 62 81 01 ff',
    ],
    ['crlNumber', extensions.crlNumber(128), '30 0b 06 03 55 1d 14 04 04 02 02 00 80'],
    [
      'authorityInfoAccess, OCSP first',
      extensions.authorityInfoAccess({ caIssuers: 'a:b', ocsp: 'c:d' }),
      `30 30 06 08 2b 06 01 05 05 07 01 01 04 24 30 22
       30 0f 06 08 2b 06 01 05 05 07 30 01 86 03 63 3a 64
       30 0f 06 08 2b 06 01 05 05 07 30 02 86 03 61 3a 62`,
    ],
    [
      'subjectAltName of a name and an address',
      extensions.subjectAltName([
        { kind: 'dns', name: 'a.b' },
        { kind: 'ip', address: hex('7f 00 00 01') },
      ]),
      '30 14 06 03 55 1d 11 04 0d 30 0b 82 03 61 2e 62 87 04 7f 00 00 01',
    ],
  ])('%s', (_title, extension, octets) => {
    expect(written(extension)).toBe(of(octets));
  });

  test.each(Object.entries(extensions.KEY_USAGE))('keyUsage %s is bit %i', (name, bit) => {
    const der = encode(extensions.keyUsage([name as extensions.KeyUsageName]));
    const [extension] = readExtensions(new DerReader(encode(sequence(der))));
    expect(new DerReader(extension?.value ?? Buffer.alloc(0)).namedBits('keyUsage')).toEqual([bit]);
  });
});

describe('what is read', () => {
  const read = (octets: string) => readExtensions(new DerReader(hex(octets)));

  test('type, criticality and value', () => {
    expect(read('30 12 30 07 06 02 2a 03 04 01 aa  30 07 06 02 2a 04 04 01 bb')).toEqual([
      { oid: '1.2.3', critical: false, value: hex('aa') },
      { oid: '1.2.4', critical: false, value: hex('bb') },
    ]);
    expect(read('30 0c 30 0a 06 02 2a 03 01 01 ff 04 01 aa')).toMatchObject([{ critical: true }]);
  });

  test.each([
    ['critical TRUE', '30 0c 30 0a 06 02 2a 03 01 01 ff 04 01 aa', 'accepted'],
    ['critical FALSE, which is the default', '30 0c 30 0a 06 02 2a 03 01 01 00 04 01 aa', 'bad-der'],
    ['critical TRUE of 1', '30 0c 30 0a 06 02 2a 03 01 01 01 04 01 aa', 'bad-der'],
    ['no extension', '30 00', 'bad-der'],
    ['no value', '30 06 30 04 06 02 2a 03', 'bad-der'],
    ['a value that is no OCTET STRING', '30 09 30 07 06 02 2a 03 03 01 00', 'bad-der'],
    ['octets behind the value', '30 0b 30 09 06 02 2a 03 04 01 aa 05 00', 'bad-der'],
    ['octets behind the list', '30 09 30 07 06 02 2a 03 04 01 aa 05 00', 'bad-der'],
    ['criticality behind the value', '30 0c 30 0a 06 02 2a 03 04 01 aa 01 01 ff', 'bad-der'],
    ['a list that is a SET', '31 09 30 07 06 02 2a 03 04 01 aa', 'bad-der'],
    ['nothing', '', 'bad-der'],
  ])('takes or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets))).toBe(code);
  });
});
