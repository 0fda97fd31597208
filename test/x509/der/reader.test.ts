import { describe, expect, test } from 'vitest';
import { assertDer, DerReader } from '../../../src/x509/der/reader.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { codeOf } from '../code-of.ts';
import { hex, tlv } from '../tlv.ts';

/** Reads all of it with one call. */
function read<T>(text: string, call: (reader: DerReader) => T): T {
  const reader = new DerReader(hex(text));
  const value = call(reader);
  reader.finish('value');
  return value;
}

type Twin = readonly [title: string, octets: string, code: string];

describe('lengths', () => {
  const octetString = (text: string) => codeOf(() => read(text, (reader) => reader.octetString('value')));
  const long = (header: string, size: number) => header + '00'.repeat(size);

  test.each<Twin>([
    ['one octet', '04 01 aa', 'accepted'],
    ['no content', '04 00', 'accepted'],
    ['127 in one octet', long('04 7f', 127), 'accepted'],
    ['128 in two octets', long('04 81 80', 128), 'accepted'],
    ['255 in two octets', long('04 81 ff', 255), 'accepted'],
    ['256 in three octets', long('04 82 01 00', 256), 'accepted'],
    ['65535 in three octets', long('04 82 ff ff', 65_535), 'accepted'],
    ['65536 in four octets', long('04 83 01 00 00', 65_536), 'accepted'],
    ['127 in two octets', long('04 81 7f', 127), 'bad-der'],
    ['255 in three octets', long('04 82 00 ff', 255), 'bad-der'],
    ['65535 in four octets', long('04 83 00 ff ff', 65_535), 'bad-der'],
    ['1 with four padding octets', '04 84 00 00 00 01 aa', 'bad-der'],
    ['five octets of length', '04 85 00 00 00 00 01 aa', 'bad-der'],
    ['the reserved length 0xff', '04 ff aa', 'bad-der'],
    ['indefinite', '24 80 04 01 aa 00 00', 'bad-der'],
    ['indefinite of a primitive', '04 80 aa 00 00', 'bad-der'],
    ['one octet more than there is', '04 02 aa', 'bad-der'],
    ['4 GiB more than there is', '04 84 ff ff ff ff aa', 'bad-der'],
    ['none', '04', 'bad-der'],
    ['cut off in the length', '04 82 01', 'bad-der'],
    ['no value at all', '', 'bad-der'],
    ['one octet less than there is', '04 01 aa aa', 'bad-der'],
  ])('takes or refuses: %s', (_title, octets, code) => {
    expect(octetString(octets)).toBe(code);
  });

  test('refuses an inner length that reaches behind its outer value', () => {
    const inner = (octets: string) =>
      codeOf(() => new DerReader(hex(octets)).sequence('outer').octetString('inner'));
    expect(inner('30 03 04 01 aa  05 00')).toBe('accepted');
    expect(inner('30 03 04 02 aa  05 00')).toBe('bad-der');
    expect(inner('30 01 04  01 aa')).toBe('bad-der');
    expect(inner('30 02 04 81  01 aa')).toBe('bad-der');
  });
});

describe('tags', () => {
  test.each<Twin>([
    ['another tag than was asked for', '02 01 01', 'bad-der'],
    ['a string in pieces', '24 03 04 01 aa', 'bad-der'],
  ])('refuses %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.octetString('value')))).toBe(code);
  });

  test.each<Twin>([
    ['a SEQUENCE', '30 00', 'accepted'],
    ['a context tag', 'a3 02 05 00', 'accepted'],
    ['a primitive context tag', '83 01 aa', 'accepted'],
    ['a tag number above 30', '1f 1f 00', 'bad-der'],
    ['a constructed tag number above 30', 'bf 1f 00', 'bad-der'],
    ['end-of-contents', '00 00', 'bad-der'],
    ['constructed end-of-contents', '20 00', 'bad-der'],
    ['a primitive SEQUENCE', '10 00', 'bad-der'],
    ['a primitive SET', '11 00', 'bad-der'],
    ['a constructed OCTET STRING', '24 03 04 01 aa', 'bad-der'],
    ['a constructed UTF8String', '2c 03 0c 01 61', 'bad-der'],
    ['a constructed BIT STRING', '23 04 03 02 00 aa', 'bad-der'],
    ['a constructed INTEGER', '22 03 02 01 01', 'bad-der'],
    ['a bad value within a good one', '30 04 30 02 04 01', 'bad-der'],
    ['trailing octets within', '30 03 05 00 00', 'bad-der'],
    ['trailing octets behind', '30 02 05 00 00', 'bad-der'],
    ['nothing', '', 'bad-der'],
  ])('walks all the way down: %s', (_title, octets, code) => {
    expect(codeOf(() => assertDer(hex(octets), 'value'))).toBe(code);
  });

  test('says what the next tag is, and -1 at the end', () => {
    const reader = new DerReader(hex('05 00'));
    expect(reader.nextTag).toBe(TAG.null);
    reader.null('value');
    expect([reader.nextTag, reader.atEnd]).toEqual([-1, true]);
    expect(codeOf(() => reader.content(reader.nextTag, 'more'))).toBe('bad-der');
  });

  test('enters an optional value only where it is', () => {
    expect(new DerReader(hex('a0 02 05 00')).enterOptional(0xa0, 'value')?.nextTag).toBe(TAG.null);
    expect(new DerReader(hex('a1 02 05 00')).enterOptional(0xa0, 'value')).toBeUndefined();
  });
});

describe('depth', () => {
  const nested = (levels: number) => {
    let octets: Buffer = tlv(TAG.null);
    for (let level = 0; level < levels; level += 1) octets = tlv(TAG.sequence, octets);
    return octets;
  };
  const enterAll = (octets: Uint8Array, levels: number) => {
    let reader = new DerReader(octets);
    for (let level = 0; level < levels; level += 1) reader = reader.sequence('level');
    reader.null('core');
  };

  test('takes 32 levels and refuses 33', () => {
    expect(codeOf(() => assertDer(nested(32), 'value'))).toBe('accepted');
    expect(codeOf(() => enterAll(nested(32), 32))).toBe('accepted');
    expect(codeOf(() => assertDer(nested(33), 'value'))).toBe('bad-der');
    expect(codeOf(() => enterAll(nested(33), 33))).toBe('bad-der');
  });

  test('refuses a hundred thousand levels before the stack overflows', () => {
    expect(codeOf(() => assertDer(Buffer.from('3080'.repeat(100_000), 'hex'), 'value'))).toBe('bad-der');
    const levels = 10_000;
    const octets = Buffer.alloc(levels * 4, 0);
    for (let at = 0; at < octets.length; at += 4) {
      octets.set([0x30, 0x82], at);
      octets.writeUInt16BE(octets.length - at - 4, at + 2);
    }
    expect(codeOf(() => assertDer(octets, 'value'))).toBe('bad-der');
  });
});

describe('BOOLEAN', () => {
  test.each<Twin>([
    ['TRUE', '01 01 ff', 'accepted'],
    ['FALSE', '01 01 00', 'accepted'],
    ['a TRUE of 1', '01 01 01', 'bad-der'],
    ['a TRUE of 0xfe', '01 01 fe', 'bad-der'],
    ['two octets', '01 02 ff ff', 'bad-der'],
    ['no octet', '01 00', 'bad-der'],
  ])('takes or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.boolean('value')))).toBe(code);
  });
});

describe('INTEGER', () => {
  test.each<Twin>([
    ['0', '02 01 00', 'accepted'],
    ['127', '02 01 7f', 'accepted'],
    ['128', '02 02 00 80', 'accepted'],
    ['-128', '02 01 80', 'accepted'],
    ['-129', '02 02 ff 7f', 'accepted'],
    ['127 with a zero in front', '02 02 00 7f', 'bad-der'],
    ['-128 with a sign octet in front', '02 02 ff 80', 'bad-der'],
    ['no octet', '02 00', 'bad-der'],
  ])('takes or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.integer('value')))).toBe(code);
  });

  test.each<Twin>([
    ['2^47 - 1', '02 06 7f ff ff ff ff ff', 'accepted'],
    ['2^48', '02 07 01 00 00 00 00 00 00', 'bad-der'],
    ['-1', '02 01 ff', 'bad-der'],
  ])('reads as a small number, or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.smallInteger('value')))).toBe(code);
  });

  test.each<Twin>([
    ['1', '02 01 01', 'accepted'],
    ['128', '02 02 00 80', 'accepted'],
    ['0', '02 01 00', 'bad-der'],
    ['-1', '02 01 ff', 'bad-der'],
  ])('reads as a positive number, or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.positiveInteger('value')))).toBe(code);
  });

  test('gives a positive number without its sign octet', () => {
    expect(read('02 02 00 80', (reader) => reader.positiveInteger('value'))).toEqual(hex('80'));
  });
});

describe('BIT STRING', () => {
  test.each<Twin>([
    ['whole octets', '03 02 00 aa', 'accepted'],
    ['no bits', '03 01 00', 'accepted'],
    ['seven bits', '03 02 01 aa', 'bad-der'],
    ['eight unused bits', '03 02 08 aa', 'bad-der'],
    ['no octet for the unused bits', '03 00', 'bad-der'],
  ])('of octets: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.octetsOfBitString('value')))).toBe(code);
  });

  test.each<readonly [title: string, octets: string, bits: readonly number[] | 'bad-der']>([
    ['bit 0', '03 02 07 80', [0]],
    ['bits 5 and 6', '03 02 01 06', [5, 6]],
    ['bit 8', '03 03 07 00 80', [8]],
    ['no bit', '03 01 00', []],
    ['bit 0 with trailing zeros', '03 02 06 80', 'bad-der'],
    ['bit 0 with a trailing zero octet', '03 03 00 80 00', 'bad-der'],
    ['unused bits that are set', '03 02 07 c0', 'bad-der'],
    ['zero octet where nothing belongs', '03 02 00 00', 'bad-der'],
    ['unused bits of no octet', '03 01 07', 'bad-der'],
    ['eight unused bits', '03 02 08 80', 'bad-der'],
    ['no octet for the unused bits', '03 00', 'bad-der'],
  ])('of named bits: %s', (_title, octets, bits) => {
    const call = () => read(octets, (reader) => reader.namedBits('value'));
    if (bits === 'bad-der') expect(codeOf(call)).toBe(bits);
    else expect(call()).toEqual(bits);
  });
});

describe('NULL', () => {
  test.each<Twin>([
    ['empty', '05 00', 'accepted'],
    ['with content', '05 01 00', 'bad-der'],
  ])('takes or refuses: %s', (_title, octets, code) => {
    expect(codeOf(() => read(octets, (reader) => reader.null('value')))).toBe(code);
  });
});

test('views its input and copies nothing', () => {
  const octets = hex('30 03 04 01 aa');
  const content = new DerReader(octets).sequence('outer').octetString('inner');
  octets[4] = 0xbb;
  expect(content[0]).toBe(0xbb);
});
