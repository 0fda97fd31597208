import { BirthmarkError } from '../../core/errors.ts';
import { decodeOidContent } from './oid.ts';
import { isDerContent } from './primitive.ts';
import { TAG } from './tags.ts';
import { decodeTime } from './time.ts';

/** Far above what X.509 nests, far below what overflows a stack. */
const MAX_DEPTH = 32;
/** Bit of an identifier octet: the value contains values (X.690 §8.1.2.5). */
const CONSTRUCTED = 0x20;
/** Identifier octets below are of the universal class. */
const UNIVERSAL_END = 0x40;

/**
 * Reads one level of a DER encoding (X.690 §10, §11) from front to back. Anything that BER allows and DER does not
 * is refused: indefinite or padded lengths, strings in pieces, values that end early or late; and so are tag numbers
 * above 30, which occur nowhere in X.509. One tolerance: the order within a SET OF is not looked at, since what we
 * read is never encoded again.
 *
 * Every method throws BirthmarkError `bad-der` where the encoding is not what was asked for; `what` names the value.
 * Octets that it returns are views into the input.
 */
export class DerReader {
  readonly bytes: Uint8Array;
  #end: number;
  readonly #depth: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length, depth = 0) {
    if (depth > MAX_DEPTH) throw tooDeep();
    this.bytes = bytes;
    this.#offset = start;
    this.#end = end;
    this.#depth = depth;
  }

  get atEnd(): boolean {
    return this.#offset >= this.#end;
  }

  /** The identifier octet of the next value, -1 at the end. */
  get nextTag(): number {
    return this.#offset < this.#end ? (this.bytes[this.#offset] ?? -1) : -1;
  }

  /** Enters the next value, which must be constructed; this reader goes on behind it. */
  enter(tag: number, what: string): DerReader {
    const content = this.#header(tag, what);
    return new DerReader(this.bytes, content, this.#offset, this.#depth + 1);
  }

  /** Enters the next value if it has this tag. */
  enterOptional(tag: number, what: string): DerReader | undefined {
    return this.nextTag === tag ? this.enter(tag, what) : undefined;
  }

  sequence(what: string): DerReader {
    return this.enter(TAG.sequence, what);
  }

  /** Content octets of the next value. */
  content(tag: number, what: string): Uint8Array {
    const start = this.#header(tag, what);
    return this.bytes.subarray(start, this.#offset);
  }

  /** The next value whole, header and all, proven to be DER all the way down; a tag of -1 takes any. */
  raw(what: string, tag = -1): Uint8Array {
    const start = this.#offset;
    this.#prove(tag, what, this.#depth);
    return this.bytes.subarray(start, this.#offset);
  }

  /** The next value whole, header and all, of which another reader will read every octet. */
  unread(what: string, tag: number): Uint8Array {
    const start = this.#offset;
    this.#header(tag, what);
    return this.bytes.subarray(start, this.#offset);
  }

  boolean(what: string): boolean {
    return this.#proven(TAG.boolean, what)[0] === 0xff;
  }

  /** Content octets of an INTEGER in two's complement, proven to be the shortest (X.690 §8.3.2). */
  integer(what: string): Uint8Array {
    return this.#proven(TAG.integer, what);
  }

  /** A non-negative INTEGER below 2^48. */
  smallInteger(what: string): number {
    const content = this.integer(what);
    if (content.length > 6 || (content[0] ?? 0) >= 0x80)
      throw new BirthmarkError('bad-der', `${what} is negative or too large`);
    return content.reduce((value, octet) => value * 256 + octet, 0);
  }

  /** Big-endian octets of a positive INTEGER without a leading zero. */
  positiveInteger(what: string): Uint8Array {
    const content = this.integer(what);
    const first = content[0] ?? 0;
    if (first >= 0x80 || (first === 0 && content.length === 1)) {
      throw new BirthmarkError('bad-der', `${what} is not positive`);
    }
    return first === 0 ? content.subarray(1) : content;
  }

  /** The octets of a BIT STRING without unused bits. */
  octetsOfBitString(what: string): Uint8Array {
    const content = this.content(TAG.bitString, what);
    if (content[0] !== 0) throw new BirthmarkError('bad-der', `${what} is not a BIT STRING of whole octets`);
    return content.subarray(1);
  }

  /** The numbers of the bits that are set in a named-bit list, whose trailing zeros must be left out (X.690 §11.2.2). */
  namedBits(what: string, tag: number = TAG.bitString): number[] {
    const content = this.content(tag, what);
    const unused = content[0] ?? 8;
    const last = content.at(-1) ?? 0;
    const empty = content.length === 1;
    if (
      unused > 7 ||
      (empty && unused !== 0) ||
      (!empty && (last & (1 << unused)) === 0) ||
      last & ((1 << unused) - 1)
    ) {
      throw new BirthmarkError(
        'bad-der',
        `${what} is not a named-bit list in DER (trailing zero bits must be left out)`,
      );
    }
    const bits: number[] = [];
    for (let bit = 0; bit < (content.length - 1) * 8 - unused; bit += 1) {
      if ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) bits.push(bit);
    }
    return bits;
  }

  octetString(what: string): Uint8Array {
    return this.content(TAG.octetString, what);
  }

  null(what: string): void {
    this.#proven(TAG.null, what);
  }

  /** Dotted form of an OBJECT IDENTIFIER. */
  oid(what: string): string {
    const start = this.#header(TAG.oid, what);
    return decodeOidContent(this.bytes, start, this.#offset);
  }

  /** Milliseconds since the epoch from a UTCTime or GeneralizedTime. */
  time(what: string): number {
    const tag = this.nextTag;
    const start = this.#header(tag, what);
    return decodeTime(tag, this.bytes, start, this.#offset);
  }

  /** Refuses anything that is left. */
  finish(what: string): void {
    if (this.#offset < this.#end)
      throw new BirthmarkError('bad-der', `${what} is followed by octets that do not belong to it`);
  }

  /** Moves behind the next value and every value in it: all of it is DER, see `isDerContent`. */
  #prove(tag: number, what: string, depth: number): void {
    const found = this.nextTag;
    const content = this.#header(tag, what);
    if ((found & CONSTRUCTED) === 0) {
      if (isDerContent(found, this.bytes, content, this.#offset)) return;
      throw new BirthmarkError(
        'bad-der',
        `${what} has a value of tag 0x${found.toString(16)} that is not DER`,
      );
    }
    if (depth >= MAX_DEPTH) throw tooDeep();
    const outerEnd = this.#end;
    this.#end = this.#offset;
    this.#offset = content;
    while (this.#offset < this.#end) this.#prove(-1, what, depth + 1);
    this.#end = outerEnd;
  }

  /** Content octets of the next value, proven to be DER of that type. */
  #proven(tag: number, what: string): Uint8Array {
    const start = this.#header(tag, what);
    if (isDerContent(tag, this.bytes, start, this.#offset)) return this.bytes.subarray(start, this.#offset);
    throw new BirthmarkError('bad-der', `${what} is not DER (X.690 §11): shortest form, one TRUE`);
  }

  /** Moves behind the next value and returns where its content starts. A tag of -1 takes any. */
  #header(tag: number, what: string): number {
    const { bytes } = this;
    const end = this.#end;
    let at = this.#offset;
    const found = bytes[at];
    if (found === undefined || at >= end) throw new BirthmarkError('bad-der', `${what} is missing`);
    if (tag !== -1 && found !== tag) {
      throw new BirthmarkError(
        'bad-der',
        `${what} has tag 0x${found.toString(16)} where 0x${tag.toString(16)} belongs`,
      );
    }
    if ((found & 0x1f) === 0x1f) throw new BirthmarkError('bad-der', `${what} has a tag number above 30`);
    if (found < UNIVERSAL_END && !isUniversalTag(found)) {
      throw new BirthmarkError('bad-der', `${what} has tag 0x${found.toString(16)}, which DER does not know`);
    }
    at += 1;
    let length = at < end ? (bytes[at] ?? 0) : 0x80;
    at += 1;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size === 0 || size > 4 || at + size > end) {
        throw new BirthmarkError('bad-der', `${what} has an indefinite, oversized or cut-off length`);
      }
      length = 0;
      for (let i = 0; i < size; i += 1) length = length * 256 + (bytes[at + i] ?? 0);
      at += size;
      if (length < 0x80 || length < 2 ** (8 * (size - 1))) {
        throw new BirthmarkError('bad-der', `${what} has a length that is not as short as it can be`);
      }
    }
    if (at + length > end) throw new BirthmarkError('bad-der', `${what} ends before its length says`);
    this.#offset = at + length;
    return at;
  }
}

/** SEQUENCE and SET contain values, all other types are in one piece (X.690 §10.2); 0 is not a type. */
function isUniversalTag(tag: number): boolean {
  if (tag >= CONSTRUCTED) return tag === TAG.sequence || tag === TAG.set;
  return tag !== 0 && tag !== (TAG.sequence & ~CONSTRUCTED) && tag !== (TAG.set & ~CONSTRUCTED);
}

/**
 * Proves that octets are one DER value and nothing else, all the way down, see `isDerContent`.
 *
 * @throws BirthmarkError `bad-der`
 */
export function assertDer(bytes: Uint8Array, what: string): void {
  const reader = new DerReader(bytes);
  reader.raw(what);
  reader.finish(what);
}

function tooDeep(): BirthmarkError {
  return new BirthmarkError('bad-der', `values are nested deeper than ${MAX_DEPTH}`);
}
