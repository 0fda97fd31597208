import { isAscii } from 'node:buffer';
import { BirthmarkError } from '../core/errors.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { assertName } from './name.ts';

/** Above any honest list: bounds what a stranger makes us compare. */
const MAX_NAMES = 256;
const NUMBER = 0x1f;

/** A GeneralName as read (RFC 5280 §4.2.1.6). `der` is the whole element, `tag` its identifier octet. */
export type GeneralName = { readonly tag: number; readonly der: Uint8Array } & (
  | {
      readonly kind: 'otherName';
      readonly typeId: string;
      /** What `value [0]` holds, DER. */
      readonly value: Uint8Array;
    }
  | { readonly kind: 'rfc822Name' | 'dNSName' | 'uniformResourceIdentifier'; readonly text: string }
  /** A Name, DER. */
  | { readonly kind: 'directoryName'; readonly name: Uint8Array }
  /** 4 or 16 octets, twice as many in name constraints. */
  | { readonly kind: 'iPAddress'; readonly octets: Uint8Array }
  | { readonly kind: 'registeredID'; readonly oid: string }
  | { readonly kind: 'x400Address' | 'ediPartyName' }
);

/**
 * Reads GeneralNames: what a subjectAltName's extnValue holds.
 *
 * @throws BirthmarkError `bad-der`, also for an address that has neither 4 nor 16 octets
 */
export function parseGeneralNames(der: Uint8Array): readonly GeneralName[] {
  const outer = new DerReader(der);
  const list = outer.sequence('GeneralNames');
  outer.finish('GeneralNames');
  if (list.atEnd) throw new BirthmarkError('bad-der', 'GeneralNames are an empty SEQUENCE');
  const names: GeneralName[] = [];
  while (!list.atEnd) {
    const name = readGeneralName(list);
    if (name.kind === 'iPAddress' && name.octets.length !== 4 && name.octets.length !== 16)
      throw new BirthmarkError('bad-der', 'an iPAddress has neither 4 nor 16 octets');
    if (names.length === MAX_NAMES)
      throw new BirthmarkError('bad-der', `GeneralNames hold more than ${MAX_NAMES} names`);
    names.push(name);
  }
  return names;
}

/**
 * Reads the next GeneralName. How many octets an iPAddress must have is for the caller to say.
 *
 * @throws BirthmarkError `bad-der`
 */
function readGeneralName(names: DerReader): GeneralName {
  const der = names.raw('GeneralName');
  const tag = der[0] ?? 0;
  const reader = new DerReader(der);
  switch (tag) {
    case TAG.contextConstructed | 0: {
      const fields = reader.enter(tag, 'otherName');
      const typeId = fields.oid('otherName type-id');
      const holder = fields.enter(TAG.contextConstructed, 'otherName value');
      fields.finish('otherName');
      const value = holder.raw('otherName value');
      holder.finish('otherName value');
      return { kind: 'otherName', tag, der, typeId, value };
    }
    case TAG.context | 1:
      return { kind: 'rfc822Name', tag, der, text: readIa5(reader, tag) };
    case TAG.context | 2:
      return { kind: 'dNSName', tag, der, text: readIa5(reader, tag) };
    case TAG.context | 6:
      return { kind: 'uniformResourceIdentifier', tag, der, text: readIa5(reader, tag) };
    case TAG.contextConstructed | 4: {
      // EXPLICIT, because Name is a CHOICE (X.680 §31.2.7).
      const holder = reader.enter(tag, 'directoryName');
      const name = holder.raw('directoryName', TAG.sequence);
      holder.finish('directoryName');
      assertName(name);
      return { kind: 'directoryName', tag, der, name };
    }
    case TAG.context | 7:
      return { kind: 'iPAddress', tag, der, octets: reader.content(tag, 'iPAddress') };
    case TAG.context | 8: {
      // An OBJECT IDENTIFIER by another tag.
      const universal = Uint8Array.from(der);
      universal[0] = TAG.oid;
      return { kind: 'registeredID', tag, der, oid: new DerReader(universal).oid('registeredID') };
    }
    case TAG.contextConstructed | 3:
      return { kind: 'x400Address', tag, der };
    case TAG.contextConstructed | 5:
      return { kind: 'ediPartyName', tag, der };
    default:
      throw new BirthmarkError(
        'bad-der',
        `a GeneralName has tag 0x${tag.toString(16)}, number ${tag & NUMBER}, which is none of its choices`,
      );
  }
}

function readIa5(reader: DerReader, tag: number): string {
  const content = reader.content(tag, 'GeneralName');
  if (content.length === 0 || !isAscii(content))
    throw new BirthmarkError('bad-der', 'a GeneralName is empty or no IA5String');
  return Buffer.from(content).toString('latin1');
}
