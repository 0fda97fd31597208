import { describe, expect, test } from 'vitest';
import { decodeOidContent, encodeOidContent } from '../../../src/x509/der/oid.ts';
import { codeOf } from '../code-of.ts';
import { hex } from '../tlv.ts';

describe('object identifiers', () => {
  test.each([
    ['0.0', '00'],
    ['0.39', '27'],
    ['1.0', '28'],
    ['1.39', '4f'],
    ['2.0', '50'],
    ['2.39', '77'],
    ['2.40', '78'],
    ['2.47', '7f'],
    ['2.48', '81 00'],
    ['2.5.29.15', '55 1d 0f'],
    ['2.999.3', '88 37 03'],
    ['1.2.840.113549.1.9.14', '2a 86 48 86 f7 0d 01 09 0e'],
    ['1.3.6.1.4.1.99999.1.1', '2b 06 01 04 01 86 8d 1f 01 01'],
    ['1.2.9007199254740991', '2a 8f ff ff ff ff ff ff 7f'],
  ])('reads and writes %s', (dotted, octets) => {
    expect(decodeOidContent(hex(octets))).toBe(dotted);
    expect(Buffer.from(encodeOidContent(dotted))).toEqual(hex(octets));
  });

  test.each([
    ['an arc with leading zeros', '2a 80 01'],
    ['a first arc with leading zeros', '80 2a'],
    ['an arc that is cut off', '2a 86'],
    ['no octet', ''],
    ['an arc above 2^53', '2a a0 80 80 80 80 80 80 00'],
    ['an arc of a thousand octets', `2a ${'ff'.repeat(1000)} 7f`],
  ])('refuses %s', (_title, octets) => {
    expect(codeOf(() => decodeOidContent(hex(octets)))).toBe('bad-der');
  });

  test('reads a part of a larger buffer', () => {
    expect(decodeOidContent(hex('06 03 55 1d 0f 80'), 2, 5)).toBe('2.5.29.15');
  });
});
