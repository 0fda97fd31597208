import * as asn1js from 'asn1js';
import fc from 'fast-check';
import { RelativeDistinguishedNames } from 'pkijs';
import { describe, expect, test } from 'vitest';
import { type Der, encode, encodedSize, explicit, sequence, setOf } from '../../../src/x509/der/encode.ts';
import { assertDer, DerReader } from '../../../src/x509/der/reader.ts';
import { encodeTimeContent, NO_EXPIRY } from '../../../src/x509/der/time.ts';
import * as values from '../../../src/x509/der/values.ts';
import { ATTRIBUTE_OIDS, type Attribute, encodeName, parseName } from '../../../src/x509/name.ts';

/** Reads what is the only value. */
function read<T>(der: Uint8Array, call: (reader: DerReader) => T): T {
  const reader = new DerReader(der);
  const value = call(reader);
  reader.finish('value');
  return value;
}

/** The value as asn1js sees it, which must be all of the octets. */
function readByAsn1js(der: Uint8Array): asn1js.AsnType {
  const { offset, result } = asn1js.fromBER(der.slice());
  if (offset !== der.length) throw new Error(`asn1js stops at ${offset}: ${result.error}`);
  return result;
}

const smallInteger = fc.oneof(
  fc.nat(),
  fc.integer({ min: 0, max: 2 ** 47 - 1 }),
  fc.constantFrom(127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32),
);
const arc = fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 80 }));
const dotted = fc
  .tuple(
    fc.oneof(fc.tuple(fc.constantFrom(0, 1), fc.nat({ max: 39 })), fc.tuple(fc.constant(2), arc)),
    fc.array(arc, { maxLength: 12 }),
  )
  .map(([first, rest]) => [...first, ...rest].join('.'));
const seconds = (from: number, to: number) =>
  fc.integer({ min: from / 1000, max: to / 1000 }).map((second) => second * 1000);
const anyTime = fc.oneof(
  seconds(Date.UTC(1950, 0, 1), Date.UTC(2060, 0, 1)),
  seconds(Date.UTC(1900, 0, 1), NO_EXPIRY),
);

describe('reads what it wrote, and asn1js reads the same', () => {
  test('INTEGER', () => {
    fc.assert(
      fc.property(smallInteger, (value) => {
        const der = encode(values.integer(value));
        expect(read(der, (reader) => reader.smallInteger('value'))).toBe(value);
        expect((readByAsn1js(der) as asn1js.Integer).toBigInt()).toBe(BigInt(value));
      }),
    );
  });

  test('INTEGER of up to 2^53', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect((readByAsn1js(encode(values.integer(value))) as asn1js.Integer).toBigInt()).toBe(
          BigInt(value),
        );
      }),
    );
  });

  test('INTEGER from octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (magnitude) => {
        const der = encode(values.unsigned(magnitude));
        const value = BigInt(`0x${Buffer.from(magnitude).toString('hex')}`);
        expect((readByAsn1js(der) as asn1js.Integer).toBigInt()).toBe(value);
        const content = Buffer.from(read(der, (reader) => reader.integer('value'))).toString('hex');
        expect(BigInt(`0x${content}`)).toBe(value);
      }),
    );
  });

  test('OBJECT IDENTIFIER', () => {
    fc.assert(
      fc.property(dotted, (id) => {
        const der = encode(values.oid(id));
        expect(read(der, (reader) => reader.oid('value'))).toBe(id);
        expect((readByAsn1js(der) as asn1js.ObjectIdentifier).getValue()).toBe(id);
      }),
    );
  });

  test('times, whole seconds', () => {
    fc.assert(
      fc.property(anyTime, fc.nat({ max: 999 }), (at, fraction) => {
        const der = encode(values.time(at + fraction));
        expect(read(der, (reader) => reader.time('value'))).toBe(at);
        const other = readByAsn1js(der) as asn1js.UTCTime;
        expect(other.toDate().getTime()).toBe(at);
      }),
    );
  });

  test('GeneralizedTime of any year from 0 to 9999', () => {
    fc.assert(
      fc.property(seconds(Date.parse('0000-01-01T00:00:00Z'), NO_EXPIRY), (at) => {
        const text = Buffer.from(encodeTimeContent(at, true)).toString('latin1');
        expect(text).toBe(`${new Date(at).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`);
      }),
    );
  });

  test('named bits', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 40 })), (bits) => {
        const der = encode(values.namedBits(bits));
        const sorted = bits.toSorted((a, b) => a - b);
        expect(read(der, (reader) => reader.namedBits('value'))).toEqual(sorted);
        const other = (readByAsn1js(der) as asn1js.BitString).valueBlock;
        const octets = other.valueHexView;
        expect(octets.length * 8 - other.unusedBits).toBe((sorted.at(-1) ?? -1) + 1);
      }),
    );
  });

  test.each([0, 1, 126, 127, 128, 129, 254, 255, 256, 257, 65_534, 65_535, 65_536, 65_537, 16_777_216])(
    'an OCTET STRING of %i octets',
    (size) => {
      const octets = Buffer.alloc(size, 0xa5);
      const value = values.octetString(octets);
      const der = encode(value);
      expect(der.length).toBe(encodedSize(value));
      expect(octets.equals(read(der, (reader) => reader.octetString('value')))).toBe(true);
      expect(codeOfSize(der)).toBe(size);
      if (size < 16_000_000) readByAsn1js(der);
    },
  );

  test('any tree of values', () => {
    const { tree } = fc.letrec<{ tree: Der; leaf: Der }>((tie) => ({
      leaf: fc.oneof(
        smallInteger.map((value) => values.integer(value)),
        dotted.map(values.oid),
        anyTime.map(values.time),
        fc.boolean().map(values.boolean),
        fc.string({ unit: 'grapheme' }).map(values.utf8String),
        fc.uint8Array().map(values.bitString),
        fc.uint8Array({ maxLength: 300 }).map(values.octetString),
        fc.constant(values.nullValue()),
        fc.constant(encode(values.nullValue())),
      ),
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        tie('leaf'),
        fc.array(tie('tree')).map((parts) => sequence(...parts)),
        fc.array(tie('tree')).map((parts) => setOf(...parts)),
        fc.tuple(fc.nat({ max: 30 }), tie('tree')).map(([number, part]) => explicit(number, part)),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const der = encode(value);
        expect(der.length).toBe(encodedSize(value));
        assertDer(der, 'value');
        readByAsn1js(der);
      }),
    );
  });

  test('a SET OF whose elements come in any order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 6 }), (elements) => {
        const there = encode(setOf(...elements.map(values.octetString)));
        const back = encode(setOf(...elements.toReversed().map(values.octetString)));
        expect(there.equals(back)).toBe(true);
      }),
    );
  });
});

/** The size that a header says, worked out from the octets alone. */
function codeOfSize(der: Buffer): number {
  const first = der[1] ?? 0;
  return first < 0x80 ? first : der.readUIntBE(2, first & 0x7f);
}

describe('Name', () => {
  const printable = fc.string({
    unit: fc.constantFrom(..."ABCXYZabcxyz0189 '()+,-./:=?"),
    minLength: 1,
    maxLength: 64,
  });
  const country = fc.string({ unit: fc.constantFrom(...'ADEZ'), minLength: 2, maxLength: 2 });
  const text = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    .filter((value) => [...value].length <= 64 && !/\p{Cc}/u.test(value));
  const attribute = fc.oneof(
    printable.map((value): Attribute => ({ type: 'serialNumber', value })),
    country.map((value): Attribute => ({ type: 'C', value })),
    fc
      .tuple(fc.constantFrom('CN', 'O', 'OU', 'L', 'ST'), text)
      .map(([type, value]): Attribute => ({ type, value })),
  );

  test('reads what it wrote, and pkijs reads the same', () => {
    fc.assert(
      fc.property(fc.array(attribute, { maxLength: 6 }), (attributes) => {
        const der = encodeName(attributes);
        const expected = attributes.map(({ type, value }) => [ATTRIBUTE_OIDS[type], value]);
        expect(parseName(der).map((rdn) => rdn.map(({ oid, value }) => [oid, value]))).toEqual(
          expected.map((pair) => [pair]),
        );
        const other = new RelativeDistinguishedNames({ schema: readByAsn1js(der) });
        expect(other.typesAndValues.map(({ type, value }) => [type, value.valueBlock.value])).toEqual(
          expected,
        );
      }),
    );
  });
});
