import { isAscii, isUtf8 } from 'node:buffer';
import { asBuffer } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { isPrintable } from '../core/identifiers.ts';
import { type DerNode, encode, sequence, setOf } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { oid, printableString, utf8String } from './der/values.ts';

/** Attribute types by their short names (RFC 4514 §3, RFC 5280 Appendix A.1). */
export const ATTRIBUTE_OIDS = {
  CN: '2.5.4.3',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
} as const;

export type AttributeType = keyof typeof ATTRIBUTE_OIDS;

const CONTROL = /\p{Cc}/u;

/** Upper bounds of RFC 5280 Appendix A.1, in characters. */
const UPPER_BOUND: Readonly<Record<AttributeType, number>> = {
  CN: 64,
  serialNumber: 64,
  C: 2,
  L: 128,
  ST: 128,
  O: 64,
  OU: 64,
};

export interface Attribute {
  readonly type: AttributeType;
  readonly value: string;
}

/** One attribute as read: its type in dotted form, its string type and its text. */
export interface ReadAttribute {
  readonly oid: string;
  readonly tag: number;
  readonly value: string;
}

/**
 * DER of a Name with one attribute in each RDN.
 *
 * @throws BirthmarkError `name-invalid`
 */
export function encodeName(attributes: readonly Attribute[]): Buffer {
  return encode(sequence(...attributes.map(encodeAttribute)));
}

/**
 * An RDN of one attribute. serialNumber and C are PrintableString, as RFC 5280 Appendix A.1 asks; the others are UTF8String.
 *
 * @throws BirthmarkError `name-invalid`
 */
export function encodeAttribute({ type, value }: Attribute): DerNode {
  checkAttribute(type, value);
  const text = type === 'serialNumber' || type === 'C' ? printableString(value) : utf8String(value);
  return setOf(sequence(oid(ATTRIBUTE_OIDS[type]), text));
}

function checkAttribute(type: AttributeType, value: string): void {
  const length = [...value].length;
  const printable = type !== 'serialNumber' && type !== 'C' ? true : isPrintable(value);
  const bound = UPPER_BOUND[type];
  const exact = type !== 'C' || length === 2;
  // A lone surrogate has no UTF-8.
  const clean = value.isWellFormed() && !CONTROL.test(value);
  if (length >= 1 && length <= bound && printable && exact && clean) return;
  throw new BirthmarkError(
    'name-invalid',
    `the name's ${type} must have ${exact && type !== 'C' ? `1 to ${bound}` : bound} characters without control characters` +
      `${type === 'serialNumber' || type === 'C' ? ', all of them PrintableString' : ''} (RFC 5280 Appendix A.1)`,
    { field: type },
  );
}

/**
 * Reads a DER Name into its RDNs.
 *
 * @throws BirthmarkError `bad-der`
 */
export function parseName(der: Uint8Array): readonly (readonly ReadAttribute[])[] {
  const outer = new DerReader(der);
  const rdns = outer.sequence('name');
  outer.finish('name');
  const result: ReadAttribute[][] = [];
  while (!rdns.atEnd) {
    const set = rdns.enter(TAG.set, 'relative distinguished name');
    const attributes: ReadAttribute[] = [];
    while (!set.atEnd) {
      const fields = set.sequence('attribute');
      const id = fields.oid('attribute type');
      const tag = fields.nextTag;
      const content = asBuffer(fields.content(tag, 'attribute value'));
      fields.finish('attribute');
      attributes.push({ oid: id, tag, value: decodeText(tag, content) });
    }
    if (attributes.length === 0)
      throw new BirthmarkError('bad-der', 'a relative distinguished name is empty');
    result.push(attributes);
  }
  return result;
}

/**
 * Text that is not what its type says is refused, or else two different names could read the same. The narrower
 * alphabet of PrintableString is not looked at: too many names of others have `@`, `_` or `*` in one.
 */
function decodeText(tag: number, content: Buffer): string {
  switch (tag) {
    case TAG.utf8String:
      if (!isUtf8(content)) throw new BirthmarkError('bad-der', 'a name has an UTF8String that is not UTF-8');
      return content.toString('utf8');
    case TAG.bmpString:
      if (content.length % 2 !== 0)
        throw new BirthmarkError('bad-der', 'a name has a BMPString of half characters');
      return Buffer.from(content).swap16().toString('utf16le');
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
    case TAG.visibleString:
      if (!isAscii(content))
        throw new BirthmarkError('bad-der', 'a name has a 7-bit string with 8-bit characters');
      return content.toString('latin1');
    case TAG.teletexString:
      return content.toString('latin1');
    default:
      throw new BirthmarkError(
        'bad-der',
        `a name has a value of tag 0x${tag.toString(16)}, which is no text`,
      );
  }
}

const SHORT_NAMES = new Map<string, string>(Object.entries(ATTRIBUTE_OIDS).map(([name, id]) => [id, name]));

/** A Name for people, in the order of the encoding: `O=Lab, CN=d`. Characters are escaped as in RFC 4514 §2.4. */
export function nameToText(der: Uint8Array): string {
  return parseName(der)
    .map((rdn) =>
      rdn.map(({ oid: id, value }) => `${SHORT_NAMES.get(id) ?? id}=${escapeValue(value)}`).join('+'),
    )
    .join(', ');
}

function escapeValue(value: string): string {
  return value
    .replace(/["+,;<=>\\]|^[ #]| $/g, '\\$&')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
      Buffer.from(character).toString('hex').replace(/../g, '\\$&'),
    );
}
