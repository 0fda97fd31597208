import { describe, expect, test } from 'vitest';
import { assembleSigned } from '../../src/x509/certificate.ts';
import { MAX_CSR_OCTETS, parseCsr, verifyPossession } from '../../src/x509/csr.ts';
import { type Der, encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { integer, nullValue, oid, utf8String } from '../../src/x509/der/values.ts';
import { keyUsage, subjectAltName } from '../../src/x509/extensions.ts';
import { encodeName, parseName } from '../../src/x509/name.ts';
import { codeOf } from './code-of.ts';
import { ALL_KEY_KINDS, DEVICE_NAME, HARDWARE_MODULE, sampleCsr, sampleKey, signed } from './samples.ts';
import { hex, replaceOnce, tlv } from './tlv.ts';

const key = sampleKey('P-256');
const good = sampleCsr(key);
const attribute = (type: string, ...values: readonly Der[]) => encode(sequence(oid(type), setOf(...values)));
const CHALLENGE = '1.2.840.113549.1.9.7';
const challenge = attribute(CHALLENGE, utf8String('secret'));
const request = (...extensions: readonly Der[]) =>
  attribute('1.2.840.113549.1.9.14', sequence(...extensions));
const code = (der: Uint8Array) => codeOf(() => parseCsr(der));

describe('reads', () => {
  test.each(ALL_KEY_KINDS)('a request of %s and believes its signature', (kind) => {
    const maker = sampleKey(kind);
    const csr = parseCsr(sampleCsr(maker));
    expect(csr.signatureAlgorithm).toBe(maker.algorithm);
    expect(Buffer.from(csr.spki)).toEqual(maker.spki);
    expect(() => verifyPossession(csr)).not.toThrow();
  });

  test('subject, extensions asked for and types of other attributes', () => {
    const san = subjectAltName([HARDWARE_MODULE]);
    const csr = parseCsr(
      sampleCsr(key, { attributes: [challenge, request(keyUsage(['digitalSignature']), san)] }),
    );
    expect(Buffer.from(csr.subject)).toEqual(DEVICE_NAME);
    expect(
      parseName(csr.subject)
        .flat()
        .map(({ value }) => value),
    ).toEqual(['Bürklin Lab', 'SN-0001']);
    expect(csr.requestedExtensions.map(({ oid: type, critical }) => [type, critical])).toEqual([
      ['2.5.29.15', true],
      ['2.5.29.17', false],
    ]);
    expect(csr.otherAttributes).toEqual([CHALLENGE]);
  });

  test('a request without subject', () => {
    expect(parseName(parseCsr(sampleCsr(key, { subject: encodeName([]) })).subject)).toEqual([]);
  });

  test('an RSA signature whose algorithm has no parameters (RFC 4055 §5)', () => {
    const maker = sampleKey('RSA-2048');
    const { info, signature } = parseCsr(sampleCsr(maker));
    const identifier = encode(sequence(oid('1.2.840.113549.1.1.11')));
    const csr = parseCsr(assembleSigned(info, identifier, signature));
    expect(csr.signatureAlgorithm.name).toBe('rsa-sha256');
    expect(() => verifyPossession(csr)).not.toThrow();
  });

  test('a request whose empty attributes were left out', () => {
    expect(parseCsr(sampleCsr(key, { attributes: 'absent' })).otherAttributes).toEqual([]);
  });
});

describe('refuses', () => {
  const algorithm = (id: string, ...parameters: readonly Der[]) => encode(sequence(oid(id), ...parameters));
  const { info, signature } = parseCsr(good);
  const signedAs = (identifier: Uint8Array) => assembleSigned(info, identifier, signature);

  test.each<readonly [title: string, der: Uint8Array, expected: string]>([
    ['an octet behind it', Buffer.concat([good, hex('00')]), 'bad-der'],
    ['an octet too few', good.subarray(0, -1), 'bad-der'],
    ['nothing', hex(''), 'bad-der'],
    ['16 KiB of zeros', Buffer.alloc(MAX_CSR_OCTETS), 'bad-der'],
    ['more than 16 KiB', Buffer.alloc(MAX_CSR_OCTETS + 1), 'bad-csr'],
    ['version 1', sampleCsr(key, { version: integer(1) }), 'bad-csr'],
    ['no version', sampleCsr(key, { version: Buffer.alloc(0) }), 'bad-der'],
    ['a subject that is an OCTET STRING', sampleCsr(key, { subject: hex('04 00') }), 'bad-der'],
    ['a subject that is no Name', sampleCsr(key, { subject: hex('30 02 05 00') }), 'bad-der'],
    ['a key that is no key', sampleCsr(key, { spki: hex('30 00') }), 'bad-der'],
    ['attributes that are no attributes', sampleCsr(key, { attributes: [nullValue()] }), 'bad-der'],
    ['a challenge twice', sampleCsr(key, { attributes: [challenge, challenge] }), 'bad-csr'],
    [
      'an unknown attribute twice',
      sampleCsr(key, { attributes: [attribute('1.2.3'), attribute('1.2.3')] }),
      'bad-csr',
    ],
    [
      'extensions asked for twice',
      sampleCsr(key, { attributes: [request(keyUsage([])), request(subjectAltName([]))] }),
      'bad-csr',
    ],
    [
      'an extension asked for twice',
      sampleCsr(key, { attributes: [request(keyUsage([]), keyUsage(['digitalSignature']))] }),
      'bad-csr',
    ],
    [
      'two lists of extensions',
      sampleCsr(key, {
        attributes: [
          attribute('1.2.840.113549.1.9.14', sequence(keyUsage([])), sequence(subjectAltName([]))),
        ],
      }),
      'bad-der',
    ],
    ['an empty list of extensions', sampleCsr(key, { attributes: [request()] }), 'bad-der'],
    [
      'an attribute with an odd value within',
      sampleCsr(key, { attributes: [attribute('1.2.3', hex('24 03 04 01 aa'))] }),
      'bad-der',
    ],
    [
      'values that are a SEQUENCE',
      sampleCsr(key, { attributes: [sequence(oid('1.2.3'), sequence())] }),
      'bad-der',
    ],
    [
      'a field behind the attributes',
      signed(key, encode(sequence(integer(0), DEVICE_NAME, key.spki, hex('a0 00'), hex('a1 00')))),
      'bad-der',
    ],
    [
      'a field behind the signature',
      encode(sequence(hex('30 00'), hex('30 00'), hex('03 01 00'), nullValue())),
      'bad-der',
    ],
    ['SHA-1', signedAs(algorithm('1.2.840.10045.4.1')), 'signature-algorithm-not-allowed'],
    ['SHA-224', signedAs(algorithm('1.2.840.10045.4.3.1')), 'signature-algorithm-not-allowed'],
    ['RSA-PSS', signedAs(algorithm('1.2.840.113549.1.1.10', sequence())), 'signature-algorithm-not-allowed'],
    [
      'ECDSA with NULL',
      signedAs(algorithm('1.2.840.10045.4.3.2', nullValue())),
      'signature-algorithm-not-allowed',
    ],
    ['an unknown algorithm', signedAs(algorithm('1.2.3')), 'signature-algorithm-not-allowed'],
  ])('%s', (_title, der, expected) => {
    expect(code(der)).toBe(expected);
  });

  test('indefinite length and padded lengths on the outside', () => {
    const body = good.subarray(3);
    expect(code(Buffer.concat([hex('30 80'), body, hex('00 00')]))).toBe('bad-der');
    expect(code(Buffer.concat([hex('30 82 00'), good.subarray(2, 3), body]))).toBe('bad-der');
    expect(code(tlv(0x30, body))).toBe('accepted');
  });
});

describe('proof of possession', () => {
  const refused = (der: Uint8Array) => codeOf(() => verifyPossession(parseCsr(der)));

  test.each(ALL_KEY_KINDS)('refuses a request of %s whose subject was changed', (kind) => {
    const der = sampleCsr(sampleKey(kind));
    expect(refused(der)).toBe('accepted');
    expect(refused(replaceOnce(der, Buffer.from('SN-0001'), Buffer.from('SN-0002')))).toBe(
      'proof-of-possession-failed',
    );
  });

  test('refuses the key of another', () => {
    expect(refused(sampleCsr(key, { spki: sampleKey('P-256').spki }))).toBe('proof-of-possession-failed');
  });

  test('refuses an algorithm that does not belong to the key', () => {
    expect(refused(sampleCsr(key, { spki: sampleKey('Ed25519').spki }))).toBe('proof-of-possession-failed');
    expect(refused(sampleCsr(sampleKey('Ed25519'), { spki: key.spki }))).toBe('proof-of-possession-failed');
    expect(refused(sampleCsr(sampleKey('RSA-2048'), { spki: key.spki }))).toBe('proof-of-possession-failed');
  });

  test('refuses another digest than the one that was signed', () => {
    const der = replaceOnce(good, key.algorithm.der, encode(sequence(oid('1.2.840.10045.4.3.3'))));
    expect(refused(der)).toBe('proof-of-possession-failed');
  });

  test('refuses a point off its curve', () => {
    const spki = Buffer.from(key.spki);
    spki[90] = (spki[90] ?? 0) ^ 1;
    expect(refused(sampleCsr(key, { spki }))).toBe('key-unreadable');
  });

  test.each([
    ['an empty signature', Buffer.alloc(0)],
    ['a signature of zeros', encode(sequence(integer(0), integer(0)))],
    ['a signature of one number', encode(sequence(integer(1)))],
    ['a signature with octets behind it', Buffer.concat([parseCsr(good).signature, hex('00')])],
    ['a signature that is no DER', Buffer.alloc(64)],
  ])('refuses %s', (_title, signature) => {
    expect(refused(assembleSigned(parseCsr(good).info, key.algorithm.der, signature))).toBe(
      'proof-of-possession-failed',
    );
  });
});
