import { TAG } from './tags.ts';
import { isTimeContent } from './time.ts';

/**
 * Whether the content octets at `start`…`end` are DER of the universal type with that tag (X.690 §11): one TRUE,
 * numbers and arcs as short as they can be, unused bits zero, whole characters; and times as RFC 5280 §4.1.2.5 has them,
 * without a fraction. Types with no such rule are taken.
 */
export function isDerContent(tag: number, bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  const first = bytes[start] ?? 0;
  switch (tag) {
    case TAG.boolean:
      return length === 1 && (first === 0xff || first === 0);
    case TAG.integer:
    case TAG.enumerated:
      return isShortest(first, bytes[start + 1] ?? 0, length);
    case TAG.bitString:
      return length > 0 && isPadded(first, length > 1 ? (bytes[end - 1] ?? 0) : 0, length - 1);
    case TAG.null:
      return length === 0;
    case TAG.oid:
      return isArcs(bytes, start, end);
    case TAG.utcTime:
    case TAG.generalizedTime:
      return isTimeContent(tag, bytes, start, end);
    case TAG.bmpString:
      return length % 2 === 0;
    case TAG.universalString:
      return length % 4 === 0;
    default:
      return true;
  }
}

/** X.690 §8.3.2: the first nine bits of an INTEGER are not all alike. */
function isShortest(first: number, second: number, length: number): boolean {
  if (length < 2) return length === 1;
  return !(first === 0 && second < 0x80) && !(first === 0xff && second >= 0x80);
}

/** X.690 §8.6.2, §11.2.1: at most seven unused bits, all zero, and none where there are no octets. */
function isPadded(unused: number, last: number, octets: number): boolean {
  return unused <= 7 && (octets > 0 || unused === 0) && (last & ((1 << unused) - 1)) === 0;
}

/** X.690 §8.19.2: each arc ends, and starts with a bit that counts. */
function isArcs(bytes: Uint8Array, start: number, end: number): boolean {
  let starts = true;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (starts && octet === 0x80) return false;
    starts = octet < 0x80;
  }
  return starts && end > start;
}
