import { isAscii } from 'node:buffer';
import { BirthmarkError } from '../core/errors.ts';
import { decodeOidContent } from './der/oid.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { assertName } from './name.ts';

/** Numbers of the choices of GeneralName (RFC 5280 §4.2.1.6). */
export const GENERAL_NAME = {
  otherName: 0,
  email: 1,
  dns: 2,
  x400Address: 3,
  directory: 4,
  ediPartyName: 5,
  uri: 6,
  ip: 7,
  registeredId: 8,
} as const;

export interface GeneralName {
  /** One of `GENERAL_NAME`. */
  readonly kind: number;
  /** Header and all. */
  readonly raw: Uint8Array;
  /** What is inside the tag: text, address, DER of a Name, fields of an otherName. */
  readonly content: Uint8Array;
}

/** How many octets an iPAddress has: 4 or 16 in a name, with its mask 8 or 32 in a name constraint. */
export type IpForm = 'address' | 'subtree';

const TAG_OF_KIND: readonly number[] = [
  TAG.contextConstructed,
  TAG.context | 1,
  TAG.context | 2,
  TAG.contextConstructed | 3,
  TAG.contextConstructed | 4,
  TAG.contextConstructed | 5,
  TAG.context | 6,
  TAG.context | 7,
  TAG.context | 8,
];

/**
 * Reads the GeneralName that comes next. Of x400Address and ediPartyName it knows that they are DER and no more.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readGeneralName(list: DerReader, what: string, ip: IpForm = 'address'): GeneralName {
  const tag = list.nextTag;
  const kind = tag & 0x1f;
  if (tag !== TAG_OF_KIND[kind])
    throw new BirthmarkError('bad-der', `${what} has no GeneralName of tag ${tag}`);
  const raw = list.raw(what);
  const content = new DerReader(raw).content(tag, what);
  if (!isContent(kind, content, ip, what))
    throw new BirthmarkError('bad-der', `${what} has a GeneralName of kind ${kind} that is not of its form`);
  return { kind, raw, content };
}

/**
 * Reads GeneralNames to the end, at least one.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readGeneralNames(list: DerReader, what: string): GeneralName[] {
  const names = [readGeneralName(list, what)];
  while (!list.atEnd) names.push(readGeneralName(list, what));
  return names;
}

/** Above any honest list: bounds what a stranger makes us compare. */
const MAX_NAMES = 256;

/**
 * Reads GeneralNames whole: what a subjectAltName's extnValue holds. Stricter than the path's reader, since these names are
 * compared and not only matched: a text is not empty, a registeredID is an object identifier.
 *
 * @throws BirthmarkError `bad-der`
 */
export function parseGeneralNames(der: Uint8Array): GeneralName[] {
  const outer = new DerReader(der);
  const list = outer.sequence('GeneralNames');
  outer.finish('GeneralNames');
  const names: GeneralName[] = [];
  do {
    const name = readGeneralName(list, 'GeneralNames');
    if (name.content.length === 0 || names.length === MAX_NAMES) {
      throw new BirthmarkError(
        'bad-der',
        `GeneralNames hold an empty name, or more than ${MAX_NAMES} of them`,
      );
    }
    if (name.kind === GENERAL_NAME.registeredId) decodeOidContent(name.content);
    names.push(name);
  } while (!list.atEnd);
  return names;
}

function isContent(kind: number, content: Uint8Array, ip: IpForm, what: string): boolean {
  switch (kind) {
    case GENERAL_NAME.email:
    case GENERAL_NAME.dns:
    case GENERAL_NAME.uri:
      return isAscii(content);
    case GENERAL_NAME.ip:
      return ip === 'address'
        ? content.length === 4 || content.length === 16
        : content.length === 8 || content.length === 32;
    case GENERAL_NAME.directory:
      assertName(content);
      return true;
    case GENERAL_NAME.otherName:
      readOtherName(content, what);
      return true;
    default:
      return content.length > 0;
  }
}

export interface OtherName {
  /** Dotted form. */
  readonly typeId: string;
  /** The value whole, header and all. */
  readonly value: Uint8Array;
}

/**
 * The fields of an otherName (RFC 5280 §4.2.1.6).
 *
 * @throws BirthmarkError `bad-der`
 */
export function readOtherName(content: Uint8Array, what: string): OtherName {
  const fields = new DerReader(content);
  const typeId = fields.oid(what);
  const tagged = fields.enter(TAG.contextConstructed, what);
  const value = tagged.raw(what);
  tagged.finish(what);
  fields.finish(what);
  return { typeId, value };
}
