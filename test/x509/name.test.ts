import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../src/core/errors.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { type Attribute, assertName, encodeName, nameToText, parseName } from '../../src/x509/name.ts';
import { codeOf } from './code-of.ts';
import { hex, replaceOnce, tlv } from './tlv.ts';

const CN = hex('06 03 55 04 03');

/** A Name of one attribute, made by hand. */
function nameOf(type: Uint8Array, tag: number, value: Uint8Array): Buffer {
  return tlv(TAG.sequence, tlv(TAG.set, tlv(TAG.sequence, type, tlv(tag, value))));
}

describe('what is written', () => {
  test('serialNumber and C as PrintableString, the others as UTF8String (RFC 5280 Appendix A.1)', () => {
    const name = encodeName([
      { type: 'C', value: 'DE' },
      { type: 'O', value: 'Bürklin' },
      { type: 'serialNumber', value: 'SN-1' },
    ]);
    expect(name.toString('hex')).toBe(
      hex(`30 2f
           31 0b 30 09 06 03 55 04 06 13 02 44 45
           31 11 30 0f 06 03 55 04 0a 0c 08 42 c3 bc 72 6b 6c 69 6e
           31 0d 30 0b 06 03 55 04 05 13 04 53 4e 2d 31`).toString('hex'),
    );
  });

  test('each attribute in an RDN of its own', () => {
    const name = encodeName([
      { type: 'O', value: 'a' },
      { type: 'O', value: 'b' },
    ]);
    expect(parseName(name).map((rdn) => rdn.length)).toEqual([1, 1]);
  });

  test('an empty Name', () => {
    expect(encodeName([])).toEqual(hex('30 00'));
  });

  test.each<readonly [title: string, attribute: Attribute, code: string]>([
    ['64 characters', { type: 'CN', value: 'a'.repeat(64) }, 'accepted'],
    ['65 characters', { type: 'CN', value: 'a'.repeat(65) }, 'name-invalid'],
    ['64 characters beyond the BMP', { type: 'CN', value: '\u{1f600}'.repeat(64) }, 'accepted'],
    ['no character', { type: 'CN', value: '' }, 'name-invalid'],
    ['a line feed', { type: 'O', value: 'a\nb' }, 'name-invalid'],
    ['a NUL', { type: 'CN', value: 'a\0.example' }, 'name-invalid'],
    ['a C1 control character', { type: 'O', value: 'a\u0085b' }, 'name-invalid'],
    ['half of a surrogate pair', { type: 'O', value: 'a\ud800' }, 'name-invalid'],
    [
      'a serialNumber with a character outside of PrintableString',
      { type: 'serialNumber', value: 'a_b' },
      'name-invalid',
    ],
    ['a serialNumber within PrintableString', { type: 'serialNumber', value: "a-b'(c)" }, 'accepted'],
    ['a country of two letters', { type: 'C', value: 'DE' }, 'accepted'],
    ['a country of three letters', { type: 'C', value: 'DEU' }, 'name-invalid'],
    ['a country of one letter', { type: 'C', value: 'D' }, 'name-invalid'],
    ['a country outside of PrintableString', { type: 'C', value: 'D_' }, 'name-invalid'],
  ])('takes or refuses: %s', (_title, attribute, code) => {
    expect(codeOf(() => encodeName([attribute]))).toBe(code);
  });

  test('names the attribute that broke the rule', () => {
    const call = () => encodeName([{ type: 'OU', value: '' }]);
    expect(call).toThrow(BirthmarkError);
    expect(call).toThrow(/OU must have 1 to 64 characters/);
  });
});

describe('what is read', () => {
  const name = encodeName([
    { type: 'O', value: 'Lab' },
    { type: 'CN', value: 'd' },
  ]);

  test.each<readonly [title: string, octets: Uint8Array, code: string]>([
    ['a Name', name, 'accepted'],
    ['an empty Name', hex('30 00'), 'accepted'],
    ['an octet behind it', Buffer.concat([name, hex('00')]), 'bad-der'],
    ['an empty RDN', hex('30 02 31 00'), 'bad-der'],
    ['an RDN that is a SEQUENCE', replaceOnce(name, hex('31 0c'), hex('30 0c')), 'bad-der'],
    ['an attribute without a value', hex('30 09 31 07 30 05 06 03 55 04 03'), 'bad-der'],
    ['an attribute with two values', hex('30 0f 31 0d 30 0b 06 03 55 04 03 0c 01 61 0c 01 62'), 'bad-der'],
    ['a type that is no OID', hex('30 0a 31 08 30 06 0c 01 61 0c 01 62'), 'bad-der'],
    ['no SEQUENCE', hex('31 00'), 'bad-der'],
    ['nothing', hex(''), 'bad-der'],
    ['UTF8String', nameOf(CN, TAG.utf8String, Buffer.from('ü')), 'accepted'],
    ['UTF8String that is Latin-1', nameOf(CN, TAG.utf8String, hex('fc')), 'bad-der'],
    ['UTF8String with an overlong character', nameOf(CN, TAG.utf8String, hex('c0 80')), 'bad-der'],
    ['UTF8String with a surrogate', nameOf(CN, TAG.utf8String, hex('ed a0 80')), 'bad-der'],
    ['PrintableString', nameOf(CN, TAG.printableString, Buffer.from('a')), 'accepted'],
    [
      'PrintableString with an underscore, as many have',
      nameOf(CN, TAG.printableString, Buffer.from('a_b')),
      'accepted',
    ],
    ['PrintableString of 8 bits', nameOf(CN, TAG.printableString, hex('fc')), 'bad-der'],
    ['IA5String of 8 bits', nameOf(CN, TAG.ia5String, hex('fc')), 'bad-der'],
    ['BMPString of whole characters', nameOf(CN, TAG.bmpString, hex('00 61')), 'accepted'],
    ['BMPString of half characters', nameOf(CN, TAG.bmpString, hex('00 61 00')), 'bad-der'],
    ['a string in pieces', nameOf(CN, 0x2c, hex('0c 01 61')), 'bad-der'],
  ])('takes or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => parseName(octets))).toBe(code);
    expect(codeOf(() => assertName(octets))).toBe(code);
  });

  test.each([
    ['UTF8String', TAG.utf8String, 'c3 bc', 'ü'],
    ['BMPString', TAG.bmpString, '01 7c', 'ż'],
    ['TeletexString, as Latin-1', TAG.teletexString, 'fc', 'ü'],
  ])('the text of a %s', (_title, tag, octets, text) => {
    expect(parseName(nameOf(CN, tag, hex(octets)))).toEqual([[{ oid: '2.5.4.3', tag, value: text }]]);
  });

  test('leaves the octets of a BMPString as they were', () => {
    const octets = nameOf(CN, TAG.bmpString, hex('01 7c'));
    const before = octets.toString('hex');
    parseName(octets);
    expect(octets.toString('hex')).toBe(before);
  });
});

describe('for people', () => {
  const text = (value: string) => nameToText(nameOf(CN, TAG.utf8String, Buffer.from(value)));

  test('keeps the order, and joins what shares an RDN', () => {
    const rdn = tlv(
      TAG.set,
      tlv(TAG.sequence, CN, tlv(TAG.utf8String, Buffer.from('a'))),
      tlv(TAG.sequence, hex('06 03 2a 03 04'), tlv(TAG.utf8String, Buffer.from('b'))),
    );
    expect(nameToText(tlv(TAG.sequence, rdn, rdn))).toBe('CN=a+1.2.3.4=b, CN=a+1.2.3.4=b');
  });

  test.each([
    ['a comma, which would look like another attribute', 'a, O=b', 'CN=a\\, O\\=b'],
    ['a plus', 'a+b', 'CN=a\\+b'],
    ['a backslash', 'a\\b', 'CN=a\\\\b'],
    ['a line feed, which would look like another line of a log', 'a\nb', 'CN=a\\0ab'],
    ['an escape sequence of a terminal', '\u001b[2J', 'CN=\\1b[2J'],
    ['a right-to-left override', 'a\u202eb', 'CN=a\\e2\\80\\aeb'],
    ['a space at an end', ' a ', 'CN=\\ a\\ '],
    ['nothing of what is harmless', 'Bürklin # 1', 'CN=Bürklin # 1'],
  ])('escapes %s', (_title, value, expected) => {
    expect(text(value)).toBe(expected);
  });
});
