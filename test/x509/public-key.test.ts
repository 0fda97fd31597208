import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Der, encode, sequence } from '../../src/x509/der/encode.ts';
import { bitString, nullValue, oid, unsigned } from '../../src/x509/der/values.ts';
import { hashKey, importPublicKey, keyIdentifier, parsePublicKey } from '../../src/x509/public-key.ts';
import { codeOf } from './code-of.ts';
import { sampleKey } from './samples.ts';
import { hex } from './tlv.ts';

const EC = '1.2.840.10045.2.1';
const P256 = '1.2.840.10045.3.1.7';
const RSA = '1.2.840.113549.1.1.1';
const p256 = sampleKey('P-256').spki;
const p384 = sampleKey('P-384').spki;
const ed25519 = sampleKey('Ed25519').spki;
const rsa = sampleKey('RSA-2048').spki;
const point = p256.subarray(-65);
const x = point.subarray(1, 33);
const y = point.subarray(33);

const spki = (algorithm: readonly Der[], key: Uint8Array) =>
  encode(sequence(sequence(...algorithm), bitString(key)));
const ec = (key: Uint8Array, curve = P256) => spki([oid(EC), oid(curve)], key);
const rsaKey = (...numbers: readonly Der[]) => spki([oid(RSA), nullValue()], encode(sequence(...numbers)));
const flipped = (octets: Uint8Array, at: number) => {
  const copy = Buffer.from(octets);
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
};

describe('reads and imports', () => {
  test.each(['P-256', 'P-384', 'P-521', 'Ed25519', 'RSA-2048'] as const)('%s as node:crypto does', (kind) => {
    const { spki: der } = sampleKey(kind);
    const key = parsePublicKey(der);
    const jwk = createPublicKey({ key: der, format: 'der', type: 'spki' }).export({ format: 'jwk' });
    const text = (octets: Uint8Array) => Buffer.from(octets).toString('base64url');
    if (key.kind === 'ec') {
      const middle = (key.point.length + 1) / 2;
      expect([key.curve, text(key.point.subarray(1, middle)), text(key.point.subarray(middle))]).toEqual([
        jwk.crv,
        jwk.x,
        jwk.y,
      ]);
    } else if (key.kind === 'rsa') {
      expect([key.bits, text(key.modulus), text(key.publicExponent)]).toEqual([2048, jwk.n, jwk.e]);
    } else {
      expect(text(key.key)).toBe(jwk.x);
    }
    expect(importPublicKey(der).export({ format: 'der', type: 'spki' })).toEqual(der);
  });

  test.each([
    [512, '80'],
    [505, '01'],
    [511, '7f'],
  ])('counts the %i bits of a modulus', (bits, top) => {
    const modulus = hex(top + 'ff'.repeat(63));
    expect(parsePublicKey(rsaKey(unsigned(modulus), unsigned(hex('010001'))))).toMatchObject({ bits });
  });
});

describe('refuses', () => {
  test.each<readonly [title: string, der: Uint8Array, code: string]>([
    ['a compressed point', ec(Buffer.concat([Buffer.of(2 + ((y.at(-1) ?? 0) & 1)), x])), 'key-unreadable'],
    ['a hybrid point', ec(Buffer.concat([Buffer.of(6 + ((y.at(-1) ?? 0) & 1)), x, y])), 'key-unreadable'],
    ['the point at infinity', ec(hex('00')), 'key-unreadable'],
    ['a point that is too short', ec(point.subarray(0, 64)), 'key-unreadable'],
    ['a point with an octet more', ec(Buffer.concat([point, hex('00')])), 'key-unreadable'],
    ['no point', ec(hex('')), 'key-unreadable'],
    ['a P-384 point called P-256', ec(p384.subarray(-97)), 'key-unreadable'],
    ['another named curve', ec(point, '1.3.132.0.10'), 'key-algorithm-not-allowed'],
    ['an EC key without its curve', spki([oid(EC)], point), 'key-algorithm-not-allowed'],
    ['an EC key with NULL', spki([oid(EC), nullValue()], point), 'key-algorithm-not-allowed'],
    [
      'an EC key with explicit parameters',
      spki([oid(EC), sequence(nullValue())], point),
      'key-algorithm-not-allowed',
    ],
    [
      'an EC key with something behind the curve',
      spki([oid(EC), oid(P256), nullValue()], point),
      'key-algorithm-not-allowed',
    ],
    ['an RSA key without NULL', spki([oid(RSA)], rsa.subarray(24)), 'key-algorithm-not-allowed'],
    ['an RSA-PSS key', spki([oid('1.2.840.113549.1.1.10')], rsa.subarray(24)), 'key-algorithm-not-allowed'],
    [
      'Ed25519 with NULL',
      spki([oid('1.3.101.112'), nullValue()], ed25519.subarray(-32)),
      'key-algorithm-not-allowed',
    ],
    ['Ed25519 of 31 octets', spki([oid('1.3.101.112')], ed25519.subarray(-31)), 'key-unreadable'],
    ['X25519', spki([oid('1.3.101.110')], ed25519.subarray(-32)), 'key-algorithm-not-allowed'],
    ['Ed448', spki([oid('1.3.101.113')], Buffer.alloc(57)), 'key-algorithm-not-allowed'],
    ['a modulus of zero', rsaKey(unsigned(hex('00')), unsigned(hex('03'))), 'bad-der'],
    ['an exponent of zero', rsaKey(unsigned(hex('0f')), unsigned(hex('00'))), 'bad-der'],
    ['a negative modulus', rsaKey(hex('02 01 80'), unsigned(hex('03'))), 'bad-der'],
    ['a modulus with a zero in front', rsaKey(hex('02 02 00 0f'), unsigned(hex('03'))), 'bad-der'],
    ['an RSA key with a third number', rsaKey(hex('02 01 0f'), hex('02 01 03'), hex('02 01 01')), 'bad-der'],
    ['an RSA key of one number', rsaKey(hex('02 01 0f')), 'bad-der'],
    [
      'octets behind the RSA key',
      spki([oid(RSA), nullValue()], hex('30 06 02 01 0f 02 01 03 00')),
      'bad-der',
    ],
    ['octets behind the key', Buffer.concat([p256, hex('00')]), 'bad-der'],
    [
      'a BIT STRING with unused bits',
      Buffer.from(p256.toString('hex').replace('034200', '034201'), 'hex'),
      'bad-der',
    ],
    [
      'a value behind the key',
      encode(sequence(sequence(oid(EC), oid(P256)), bitString(point), nullValue())),
      'bad-der',
    ],
    ['no key', encode(sequence(sequence(oid(EC), oid(P256)))), 'bad-der'],
    ['nothing', hex(''), 'bad-der'],
  ])('%s', (_title, der, code) => {
    expect(codeOf(() => parsePublicKey(der))).toBe(code);
  });

  test.each<readonly [title: string, der: Uint8Array]>([
    ['a point off its curve', ec(flipped(point, 64))],
    ['the origin', ec(Buffer.concat([hex('04'), Buffer.alloc(64)]))],
    ['coordinates above the field', ec(Buffer.concat([hex('04'), Buffer.alloc(64, 0xff)]))],
    [
      'a coordinate that is the field itself',
      ec(hex(`04 ffffffff00000001000000000000000000000000ffffffffffffffffffffffff ${y.toString('hex')}`)),
    ],
    ['a point of P-384 off its curve', ec(flipped(p384.subarray(-97), 96), '1.3.132.0.34')],
  ])('to import %s', (_title, der) => {
    expect(parsePublicKey(der).kind).toBe('ec');
    expect(codeOf(() => importPublicKey(der))).toBe('key-unreadable');
  });

  test('names the algorithm that it did not take', () => {
    const dsa = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
    const der = dsa.export({ format: 'der', type: 'spki' });
    expect(() => parsePublicKey(der)).toThrow(
      /1\.2\.840\.10045\.2\.1 with 1\.3\.132\.0\.10; make one on P-256/,
    );
  });
});

describe('names of a key', () => {
  test('SHA-256 of the SubjectPublicKeyInfo', () => {
    expect(hashKey(p256)).toEqual(createHash('sha256').update(p256).digest());
  });

  test('SHA-1 of the BIT STRING without its first octet (RFC 5280 §4.2.1.2)', () => {
    expect(keyIdentifier(p256)).toEqual(createHash('sha1').update(point).digest());
    expect(keyIdentifier(ed25519)).toEqual(createHash('sha1').update(ed25519.subarray(-32)).digest());
  });
});
