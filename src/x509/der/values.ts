import { BirthmarkError } from '../../core/errors.ts';
import { type DerNode, primitive } from './encode.ts';
import { encodeOidContent } from './oid.ts';
import { TAG } from './tags.ts';
import { encodeTimeContent, isUtcTime } from './time.ts';

const TRUE = Uint8Array.of(0xff);
const FALSE = Uint8Array.of(0x00);
const EMPTY = new Uint8Array(0);

/** DER has one TRUE, 0xff (X.690 §11.1). */
export function boolean(value: boolean): DerNode {
  return primitive(TAG.boolean, value ? TRUE : FALSE);
}

/**
 * A non-negative INTEGER below 2^53.
 *
 * @throws BirthmarkError `internal` for any other number
 */
export function integer(value: number, tag: number = TAG.integer): DerNode {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new BirthmarkError('internal', `${value} is no integer from 0 to 2^53`);
  let size = 1;
  // One octet more as soon as the top bit, which is the sign, would be set.
  for (let limit = 0x80; value >= limit; limit *= 0x100) size += 1;
  const content = new Uint8Array(size);
  for (let at = size - 1, rest = value; rest > 0; at -= 1) {
    content[at] = rest % 0x100;
    rest = Math.floor(rest / 0x100);
  }
  return primitive(tag, content);
}

/** A non-negative INTEGER from its big-endian octets; leading zeros are taken away or added as X.690 §8.3.2 asks. */
export function unsigned(magnitude: Uint8Array, tag: number = TAG.integer): DerNode {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const trimmed = magnitude.subarray(start);
  if (trimmed.length > 0 && (trimmed[0] ?? 0) < 0x80) return primitive(tag, trimmed);
  const content = new Uint8Array(trimmed.length + 1);
  content.set(trimmed, 1);
  return primitive(tag, content);
}

/** A BIT STRING of whole octets. */
export function bitString(octets: Uint8Array): DerNode {
  const content = new Uint8Array(octets.length + 1);
  content.set(octets, 1);
  return primitive(TAG.bitString, content);
}

/** A named-bit list: trailing zero bits are left out (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): DerNode {
  const last = Math.max(-1, ...bits);
  const content = new Uint8Array(1 + Math.ceil((last + 1) / 8));
  content[0] = last < 0 ? 0 : 7 - (last % 8);
  for (const bit of bits) {
    const at = 1 + (bit >> 3);
    content[at] = (content[at] ?? 0) | (0x80 >> (bit & 7));
  }
  return primitive(TAG.bitString, content);
}

export function octetString(octets: Uint8Array): DerNode {
  return primitive(TAG.octetString, octets);
}

export function nullValue(): DerNode {
  return primitive(TAG.null, EMPTY);
}

/** An OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): DerNode {
  return primitive(TAG.oid, encodeOidContent(dotted));
}

export function utf8String(text: string): DerNode {
  return primitive(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/** The caller has checked the characters, see `isPrintable`; `internal` for what is not even ASCII. */
export function printableString(text: string): DerNode {
  return primitive(TAG.printableString, ascii(text));
}

/** The caller has checked that the text is ASCII; `internal` where it is not. */
export function ia5String(text: string, tag: number = TAG.ia5String): DerNode {
  return primitive(tag, ascii(text));
}

function ascii(text: string): Uint8Array {
  const content = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0x7f)
      throw new BirthmarkError('internal', `${JSON.stringify(text)} does not fit a 7-bit string`);
    content[at] = code;
  }
  return content;
}

/** Time of RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; whole seconds, rounded down. */
export function time(milliseconds: number): DerNode {
  return primitive(
    isUtcTime(milliseconds) ? TAG.utcTime : TAG.generalizedTime,
    encodeTimeContent(milliseconds),
  );
}
