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
  const rdns: ReadAttribute[][] = [];
  forEachAttribute(der, (attribute, rdn) => {
    const oid = attribute.oid('attribute type');
    const tag = attribute.nextTag;
    const value = decodeText(tag, asBuffer(attribute.content(tag, 'attribute value')));
    const before = rdns[rdn];
    if (before) before.push({ oid, tag, value });
    else rdns.push([{ oid, tag, value }]);
  });
  return rdns;
}

/**
 * Proves that octets are a Name that `parseName` takes, in a third of its time.
 *
 * @throws BirthmarkError `bad-der`
 */
export function assertName(der: Uint8Array): void {
  forEachAttribute(der, (attribute) => {
    attribute.oid('attribute type');
    const tag = attribute.nextTag;
    assertText(tag, attribute.content(tag, 'attribute value'));
  });
}

/** Calls with a reader of each attribute's fields and the number of the RDN that it belongs to. */
function forEachAttribute(der: Uint8Array, visit: (attribute: DerReader, rdn: number) => void): void {
  const outer = new DerReader(der);
  const rdns = outer.sequence('name');
  outer.finish('name');
  for (let rdn = 0; !rdns.atEnd; rdn += 1) {
    const attributes = rdns.enter(TAG.set, 'relative distinguished name');
    if (attributes.atEnd) throw new BirthmarkError('bad-der', 'a relative distinguished name is empty');
    while (!attributes.atEnd) {
      const attribute = attributes.sequence('attribute');
      visit(attribute, rdn);
      attribute.finish('attribute');
    }
  }
}

/**
 * Text that is not what its type says is refused, or else two different names could read the same. The narrower
 * alphabet of PrintableString is not looked at: too many names of others have `@`, `_` or `*` in one.
 */
function assertText(tag: number, content: Uint8Array): void {
  if (isText(tag, content)) return;
  throw new BirthmarkError(
    'bad-der',
    `a name has a value of tag 0x${tag.toString(16)} that is not text of that type`,
  );
}

function isText(tag: number, content: Uint8Array): boolean {
  switch (tag) {
    case TAG.utf8String:
      return isUtf8(content);
    case TAG.bmpString:
      return content.length % 2 === 0;
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
    case TAG.visibleString:
      return isAscii(content);
    default:
      return tag === TAG.teletexString;
  }
}

function decodeText(tag: number, content: Buffer): string {
  assertText(tag, content);
  if (tag === TAG.bmpString) return Buffer.from(content).swap16().toString('utf16le');
  return content.toString(tag === TAG.utf8String ? 'utf8' : 'latin1');
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

/** An attribute's value for people: special and unseen characters are escaped as in RFC 4514 §2.4. */
export function escapeValue(value: string): string {
  return value
    .replace(/["+,;<=>\\]|^[ #]| $/g, '\\$&')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
      Buffer.from(character).toString('hex').replace(/../g, '\\$&'),
    );
}
