import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sameName } from '../../src/x509/compare-names.ts';
import { type Der, encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { ia5String, oid, printableString, utf8String } from '../../src/x509/der/values.ts';
import { codeOf } from './code-of.ts';
import { tlv } from './tlv.ts';

const CN = '2.5.4.3';
const O = '2.5.4.10';
const utf8 = (type: string, text: string) => sequence(oid(type), utf8String(text));
const printable = (type: string, text: string) => sequence(oid(type), printableString(text));
const name = (...rdns: readonly (readonly Der[])[]) => encode(sequence(...rdns.map((rdn) => setOf(...rdn))));

const LAB = name([utf8(O, 'Lab')], [utf8(CN, 'Device CA 1')]);

describe('two names are the same', () => {
  test.each([
    ['octet by octet', name([utf8(O, 'Lab')], [utf8(CN, 'Device CA 1')])],
    ['in another string type', name([printable(O, 'Lab')], [printable(CN, 'Device CA 1')])],
    ['in BMPString', name([utf8(O, 'Lab')], [sequence(oid(CN), tlv(TAG.bmpString, bmp('Device CA 1')))])],
    ['in another case', name([utf8(O, 'LAB')], [utf8(CN, 'dEVICE ca 1')])],
    ['with spaces around', name([utf8(O, ' Lab  ')], [utf8(CN, 'Device CA 1')])],
    ['with spaces repeated within', name([utf8(O, 'Lab')], [utf8(CN, 'Device   CA 1')])],
    ['with a soft hyphen and a tab', name([utf8(O, 'L\u00adab')], [utf8(CN, 'Device\tCA 1')])],
    ['in full-width letters', name([utf8(O, 'Ｌａｂ')], [utf8(CN, 'Device CA 1')])],
  ])('%s', (_, other) => {
    expect(sameName(LAB, other)).toBe(true);
    expect(sameName(other, LAB)).toBe(true);
  });

  test('whatever the order within an RDN', () => {
    const one = Buffer.from(name([utf8(O, 'a'), utf8(CN, 'b')]));
    const other = encode(sequence(tlv(TAG.set, encode(utf8(CN, 'b')), encode(utf8(O, 'a')))));
    expect(sameName(one, other)).toBe(true);
  });

  test('folded beyond ASCII', () => {
    expect(sameName(name([utf8(O, 'BÜRKLIN STRASSE')]), name([utf8(O, 'bürklin straße')]))).toBe(true);
    expect(sameName(name([utf8(O, 'u\u0308')]), name([utf8(O, 'ü')]))).toBe(true);
  });
});

describe('two names differ', () => {
  test.each([
    ['in a letter', name([utf8(O, 'Lap')], [utf8(CN, 'Device CA 1')])],
    ['in a space that is there or not', name([utf8(O, 'Lab')], [utf8(CN, 'DeviceCA 1')])],
    ['in their order', name([utf8(CN, 'Device CA 1')], [utf8(O, 'Lab')])],
    ['in an attribute type', name([utf8('2.5.4.11', 'Lab')], [utf8(CN, 'Device CA 1')])],
    ['in an RDN more', name([utf8(O, 'Lab')], [utf8(CN, 'Device CA 1')], [utf8(CN, '')])],
    ['in how RDNs are cut', name([utf8(O, 'Lab'), utf8(CN, 'Device CA 1')])],
    ['in a dotless letter', name([utf8(O, 'Lab')], [utf8(CN, 'Devıce CA 1')])],
  ])('%s', (_, other) => {
    expect(sameName(LAB, other)).toBe(false);
    expect(sameName(other, LAB)).toBe(false);
  });

  test('where TeletexString differs in case, since its octets mean what one likes', () => {
    const teletex = (text: string) => name([sequence(oid(O), tlv(TAG.teletexString, Buffer.from(text)))]);
    expect(sameName(teletex('Lab'), teletex('Lab'))).toBe(true);
    expect(sameName(teletex('Lab'), teletex('LAB'))).toBe(false);
  });

  test('where the text of one attribute looks like the keys of two', () => {
    const strings = fc.array(fc.string({ unit: fc.constantFrom('a', ';', '=', ':', '1', '{', '}') }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(strings, strings, (a, b) => {
        const of = (texts: readonly string[]) => name(...texts.map((text) => [utf8(O, text)]));
        expect(sameName(of(a), of(b))).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });
});

test('refuses what is no name', () => {
  const wrong = encode(sequence(setOf(sequence(oid(CN), ia5String('x'), ia5String('y')))));
  expect(codeOf(() => sameName(LAB, wrong))).toBe('bad-der');
});

function bmp(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}
