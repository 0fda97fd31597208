import { TAG } from '../../../x509/der/tags.ts';
import { type NameView, readName } from './name.ts';
import { dottedOf } from './oids.ts';
import { contentOf, type Tlv, textOf } from './tlv.ts';

/** The kinds of RFC 5280 §4.2.1.6, at the place of their tag numbers. */
const KINDS = [
  'other',
  'email',
  'dns',
  'x400',
  'directory',
  'ediParty',
  'uri',
  'ip',
  'registeredId',
] as const;
/** otherName, x400Address, directoryName and ediPartyName hold values, the others octets. */
const HOLDS_VALUES = [true, false, false, true, true, true, false, false, false];

export interface GeneralNameView {
  readonly raw: Tlv;
  readonly kind: (typeof KINDS)[number];
  /** Of rfc822Name, dNSName and uniformResourceIdentifier; empty for the others. */
  readonly text: string;
  /** Type of an otherName, dotted. */
  readonly typeId: string | undefined;
  /** What an otherName's `[0] EXPLICIT` holds; undefined where that is not its form. */
  readonly otherValue: Tlv | undefined;
  readonly directoryName: NameView | undefined;
}

/** Reads one GeneralName; undefined where it is none. */
export function readGeneralName(raw: Tlv): GeneralNameView | undefined {
  const number = raw.tag & 0x1f;
  const kind = KINDS[number];
  const holdsValues = (raw.tag & 0x20) !== 0;
  if ((raw.tag & 0xc0) !== TAG.context || kind === undefined || holdsValues !== HOLDS_VALUES[number])
    return undefined;
  const view = { raw, kind, text: '', typeId: undefined, otherValue: undefined, directoryName: undefined };
  switch (kind) {
    case 'email':
    case 'dns':
    case 'uri':
      return { ...view, text: textOf(raw) };
    case 'directory':
      return { ...view, directoryName: raw.first === undefined ? undefined : readName(raw.first) };
    case 'other':
      return { ...view, typeId: dottedOf(raw.first), otherValue: otherValueOf(raw) };
    default:
      return view;
  }
}

/** What stands inside `value [0] EXPLICIT`. */
function otherValueOf(raw: Tlv): Tlv | undefined {
  const wrapper = raw.first?.next;
  const sound =
    wrapper?.tag === TAG.contextConstructed &&
    wrapper.next === undefined &&
    wrapper.first?.next === undefined;
  return sound ? wrapper.first : undefined;
}

export interface GeneralNamesView {
  readonly names: readonly GeneralNameView[];
  readonly wellFormed: boolean;
}

/** Reads the GeneralNames that a value holds. */
export function readGeneralNames(holder: Tlv): GeneralNamesView {
  const names: GeneralNameView[] = [];
  let wellFormed = true;
  for (let raw = holder.first; raw !== undefined; raw = raw.next) {
    const name = readGeneralName(raw);
    if (name === undefined) wellFormed = false;
    else names.push(name);
  }
  return { names, wellFormed };
}

/** Whether the name is one of the three that are IA5String. */
export function isText({ kind }: GeneralNameView): boolean {
  return kind === 'email' || kind === 'dns' || kind === 'uri';
}

/** Whether the octets of an IA5String under an implicit tag are all below 0x80. */
export function isIa5({ raw }: GeneralNameView): boolean {
  for (let at = raw.content; at < raw.end; at += 1) if ((raw.bytes[at] ?? 0) >= 0x80) return false;
  return true;
}

/** A GeneralName for people. */
export function generalNameText(name: GeneralNameView): string {
  if (name.kind === 'other') return `otherName ${name.typeId ?? ''}`;
  if (name.kind === 'ip') return `ip of ${contentOf(name.raw).length} octets`;
  return isText(name) ? `${name.kind} "${name.text}"` : name.kind;
}

const PLAIN_URL = /^https?:\/\/[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:\/[!-~]*)?$/;
const NO_URL_CHARACTER = /[^!-~]/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:./;
const NEEDS_HOST = /^(?:https?|ldaps?|coaps?|ftp):/i;
const HAS_HOST = /^[a-z]+:\/\/[^/?#]+/i;

/** What is wrong with a URL of which RFC 5280 §4.2.1.6 asks that it be absolute, or nothing. */
export function urlFault(url: string): string | undefined {
  if (PLAIN_URL.test(url)) return undefined;
  if (NO_URL_CHARACTER.test(url)) return `"${url}" has characters that no URL has`;
  if (!SCHEME.test(url)) return `"${url}" is not absolute: it has no scheme`;
  return NEEDS_HOST.test(url) && !HAS_HOST.test(url) ? `"${url}" names no host` : undefined;
}
