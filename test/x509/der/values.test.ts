import { describe, expect, test } from 'vitest';
import { encode, explicit, sequence, setOf } from '../../../src/x509/der/encode.ts';
import * as values from '../../../src/x509/der/values.ts';
import { codeOf } from '../code-of.ts';
import { hex } from '../tlv.ts';

describe('encodings', () => {
  test.each([
    ['TRUE', values.boolean(true), '01 01 ff'],
    ['FALSE', values.boolean(false), '01 01 00'],
    ['0', values.integer(0), '02 01 00'],
    ['127', values.integer(127), '02 01 7f'],
    ['128', values.integer(128), '02 02 00 80'],
    ['255', values.integer(255), '02 02 00 ff'],
    ['256', values.integer(256), '02 02 01 00'],
    ['32768', values.integer(32_768), '02 03 00 80 00'],
    ['2^53 - 1', values.integer(Number.MAX_SAFE_INTEGER), '02 07 1f ff ff ff ff ff ff'],
    ['a serial number with its top bit set', values.unsigned(hex('80 01')), '02 03 00 80 01'],
    ['a serial number with zeros in front', values.unsigned(hex('00 00 7f')), '02 01 7f'],
    ['a serial number with a zero that must stay', values.unsigned(hex('00 80')), '02 02 00 80'],
    ['a serial number of zeros', values.unsigned(hex('00 00')), '02 01 00'],
    ['a serial number of nothing', values.unsigned(hex('')), '02 01 00'],
    ['digitalSignature', values.namedBits([0]), '03 02 07 80'],
    ['keyCertSign and cRLSign', values.namedBits([6, 5]), '03 02 01 06'],
    ['decipherOnly', values.namedBits([8]), '03 03 07 00 80'],
    ['no bits', values.namedBits([]), '03 01 00'],
    ['BIT STRING of an octet', values.bitString(hex('aa')), '03 02 00 aa'],
    ['NULL', values.nullValue(), '05 00'],
    ['UTF8String', values.utf8String('ü'), '0c 02 c3 bc'],
    ['PrintableString', values.printableString('A-1'), '13 03 41 2d 31'],
    ['[6] IA5String', values.ia5String('a:b', 0x86), '86 03 61 3a 62'],
    ['an empty SEQUENCE', sequence(), '30 00'],
    ['[3] around a NULL', explicit(3, values.nullValue()), 'a3 02 05 00'],
    ['a SET OF in its order', setOf(values.integer(2), values.integer(1)), '31 06 02 01 01 02 01 02'],
    ['octets that are encoded already', sequence(hex('05 00')), '30 02 05 00'],
  ])('%s', (_title, value, octets) => {
    expect(encode(value).toString('hex')).toBe(hex(octets).toString('hex'));
  });
});

describe('what no value can be made of', () => {
  test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])('refuses the INTEGER %d', (value) => {
    expect(codeOf(() => values.integer(value))).toBe('internal');
  });

  test.each(['ü', '\u{1f600}', '\u0141'])('refuses %s where a string has 7 bits', (text) => {
    expect(codeOf(() => values.ia5String(text))).toBe('internal');
    expect(codeOf(() => values.printableString(text))).toBe('internal');
  });
});
