import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { describe, expect, test } from 'vitest';
import { encode, explicit, sequence } from '../../src/x509/der/encode.ts';
import { utf8String } from '../../src/x509/der/values.ts';
import { parseGeneralNames } from '../../src/x509/general-name.ts';
import { encodeName } from '../../src/x509/name.ts';
import { codeOf } from './code-of.ts';
import { hex, tlv } from './tlv.ts';

const list = (...names: readonly Uint8Array[]) => tlv(0x30, ...names);
const code = (...names: readonly Uint8Array[]) => codeOf(() => parseGeneralNames(list(...names)));
const name = encodeName([{ type: 'CN', value: 'd' }]);
const upn = encode(explicit(0, utf8String('a@b')));

describe('reads', () => {
  test('each kind of name, in their order', () => {
    const names = [
      tlv(0xa0, hex('06 03 2a 03 04'), upn),
      tlv(0x81, Buffer.from('a@b.example')),
      tlv(0x82, Buffer.from('d.example')),
      tlv(0xa3, hex('30 00')),
      tlv(0xa4, name),
      tlv(0xa5, hex('a1 02 0c 00')),
      tlv(0x86, Buffer.from('urn:a')),
      tlv(0x87, hex('7f 00 00 01')),
      tlv(0x87, hex(`${'00'.repeat(15)} 01`)),
      tlv(0x88, hex('2a 03 04')),
    ];
    const read = parseGeneralNames(list(...names));
    expect(read.map(({ kind }) => kind)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 7, 8]);
    expect(read.map(({ raw }) => Buffer.from(raw))).toEqual(names);
    const { result } = asn1js.fromBER(list(...names));
    const others = new pkijs.GeneralNames({ schema: result }).names;
    expect(read.map(({ kind }) => kind)).toEqual(others.map(({ type }) => type));
    expect(Buffer.from(read[2]?.content ?? []).toString()).toBe('d.example');
  });
});

describe('refuses', () => {
  test.each([
    ['an empty list', []],
    ['a tag that is no choice', [tlv(0x89, hex('00'))]],
    ['a name in pieces', [tlv(0xa2, tlv(0x16, Buffer.from('d')))]],
    ['a dNSName that is not ASCII', [tlv(0x82, Buffer.from('dé'))]],
    ['an empty dNSName', [tlv(0x82)]],
    ['an address of three octets', [tlv(0x87, hex('7f 00 01'))]],
    ['an address with a mask, which only name constraints have', [tlv(0x87, hex('7f 00 00 01 ff ff ff ff'))]],
    ['an otherName without value', [tlv(0xa0, hex('06 03 2a 03 04'))]],
    ['an otherName with two values', [tlv(0xa0, hex('06 03 2a 03 04'), tlv(0xa0, hex('05 00 05 00')))]],
    ['an otherName that goes on', [tlv(0xa0, hex('06 03 2a 03 04'), upn, hex('05 00'))]],
    ['a directoryName that is IMPLICIT', [tlv(0xa4, name.subarray(2))]],
    ['a registeredID with a padded arc', [tlv(0x88, hex('2a 80 03'))]],
    ['a universal type', [hex('05 00')]],
    ['more names than anyone has', Array.from({ length: 257 }, () => tlv(0x82, Buffer.from('d')))],
  ])('%s', (_what, names) => {
    expect(code(...names)).toBe('bad-der');
  });

  test('octets behind the list', () => {
    const octets = Buffer.concat([list(tlv(0x82, Buffer.from('d'))), hex('00')]);
    expect(codeOf(() => parseGeneralNames(octets))).toBe('bad-der');
  });

  test('what is no SEQUENCE', () => {
    expect(codeOf(() => parseGeneralNames(encode(sequence()).fill(0x31, 0, 1)))).toBe('bad-der');
  });
});
