import { equalBytes } from '../core/bytes.ts';
import { TAG } from './der/tags.ts';
import { parseName, type ReadAttribute } from './name.ts';

/**
 * Whether two DER Names are the same name (RFC 5280 §7.1): the same RDNs in the same order, their values alike but for
 * string type, case, and white space at the ends or repeated within.
 *
 * @throws BirthmarkError `bad-der`
 */
export function sameName(a: Uint8Array, b: Uint8Array): boolean {
  return equalBytes(a, b) || nameKey(a) === nameKey(b);
}

/**
 * Text that is equal for names that are the same and differs for others, see `sameName`. Not for people.
 *
 * @throws BirthmarkError `bad-der`
 */
export function nameKey(der: Uint8Array): string {
  return rdnKeys(der).join('');
}

/**
 * The same for each RDN, in order: a name lies in the subtree of another whose keys its own begin with (RFC 5280 §4.2.1.10).
 *
 * @throws BirthmarkError `bad-der`
 */
export function rdnKeys(der: Uint8Array): readonly string[] {
  return parseName(der).map((rdn) => {
    // An RDN is a set, so the order of its attributes says nothing.
    const attributes = rdn.length === 1 ? rdn.map(attributeKey) : rdn.map(attributeKey).sort();
    return `${attributes.length}{${attributes.join('')}}`;
  });
}

/** The length in front keeps one attribute's text from reading like two attributes. */
function attributeKey({ oid, tag, value }: ReadAttribute): string {
  // RFC 5280 §7.1 lets TeletexString be compared octet by octet; nobody agrees what its octets mean.
  const text = tag === TAG.teletexString ? `\u0000${value}` : foldText(value);
  return `${oid}=${text.length}:${text};`;
}

const PLAIN = /^[\x20-\x7e]*$/;
/** Mapped to nothing by RFC 4518 §2.2: controls, soft hyphen and joiners, variation selectors, format characters. */
const NOTHING =
  /[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad]|\u034f|[\u06dd\u070f\u1806]|[\u180b-\u180e]|[\u200b\u200c]|\u200d|[\u200e\u200f\u202a-\u202e\u2060-\u2063\u206a-\u206f]|[\ufe00-\ufe0f]|[\ufeff\ufff9-\ufffc]/gu;
const WHITE = /[\t-\r\u0085\p{Z}]+/gu;

/** Prepares text as RFC 4518 §2 does for caseIgnoreMatch: map, fold case, NFKC, insignificant spaces. */
function foldText(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase().trim().replace(/ {2,}/g, ' ');
  return text
    .replace(NOTHING, '')
    .replace(WHITE, ' ')
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll('ς', 'σ')
    .normalize('NFKC')
    .replace(/ {2,}/g, ' ')
    .replace(/^ | $/g, '');
}
