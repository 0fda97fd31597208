import { asBuffer } from '../../../core/bytes.ts';
import { TAG } from '../../../x509/der/tags.ts';
import { type DerFaults, primitiveFault, report } from './der-faults.ts';

/**
 * One value of an encoding, with its inner values as a list: `first` of them, each with its `next`.
 *
 * The lint reads by itself, not through `DerReader`: a reader must stop at the first octet that is wrong, a lint must
 * name it and go on. It also means that one mistake cannot hide in both the writer's room and its judge.
 */
export interface Tlv {
  readonly bytes: Uint8Array;
  /** Identifier octet. */
  readonly tag: number;
  /** Where the identifier octet stands, where the content starts, and where it ends. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
  readonly first: Tlv | undefined;
  readonly next: Tlv | undefined;
}

type Growing = { -readonly [Member in keyof Tlv]: Tlv[Member] };

/** Far above what X.509 nests, far below what overflows a stack. */
const MAX_DEPTH = 32;

/**
 * Reads one value that fills the range, all the way down, and notes what DER forbids (X.690 §10, §11) in `faults`.
 * Undefined where not even a header can be read.
 */
export function readTlv(
  bytes: Uint8Array,
  start: number,
  end: number,
  faults: DerFaults,
  depth = 0,
): Tlv | undefined {
  const value = readOne(bytes, start, end, faults, depth);
  if (value !== undefined && value.end < end) {
    report(
      faults,
      'der.trailing',
      `${end - value.end} octets after the value that ends at octet ${value.end}`,
    );
  }
  return value;
}

function readOne(
  bytes: Uint8Array,
  start: number,
  limit: number,
  faults: DerFaults,
  depth: number,
): Growing | undefined {
  if (start + 2 > limit) {
    report(faults, 'der.length', `a value is cut off at octet ${start}`);
    return undefined;
  }
  const tag = bytes[start] ?? 0;
  if ((tag & 0x1f) === 0x1f || tag === 0) {
    report(
      faults,
      'der.tag',
      `octet ${start} is the tag 0x${tag.toString(16)}, which occurs nowhere in a certificate`,
    );
    return undefined;
  }
  let content = start + 2;
  let length = bytes[start + 1] ?? 0;
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 4 || content + size > limit) {
      report(faults, 'der.length', `the length at octet ${start + 1} is indefinite, oversized or cut off`);
      return undefined;
    }
    length = 0;
    for (let i = 0; i < size; i += 1) length = length * 256 + (bytes[content + i] ?? 0);
    content += size;
    if (length < 0x80 || length < 2 ** (8 * (size - 1))) {
      report(faults, 'der.length', `the length at octet ${start + 1} is not as short as it can be`);
    }
  }
  const end = content + length;
  if (end > limit) {
    report(faults, 'der.length', `the value at octet ${start} says that it is longer than what holds it`);
    return undefined;
  }
  const value: Growing = { bytes, tag, start, content, end, first: undefined, next: undefined };
  if ((tag & 0x20) === 0) {
    const fault = tag < 0x40 ? primitiveFault(bytes, tag, content, end) : undefined;
    if (fault !== undefined) report(faults, fault.code, `octet ${start}: ${fault.detail}`);
  } else if (depth === MAX_DEPTH) {
    report(faults, 'der.nesting', `values are nested deeper than ${MAX_DEPTH} at octet ${start}`);
  } else {
    readInner(value, faults, depth);
  }
  return value;
}

function readInner(value: Growing, faults: DerFaults, depth: number): void {
  const { bytes, tag, end } = value;
  if (tag < 0x40 && tag !== TAG.sequence && tag !== TAG.set) {
    report(
      faults,
      'der.form',
      `octet ${value.start}: a value of a simple type is cut into pieces (tag 0x${tag.toString(16)})`,
    );
  }
  let last: Growing | undefined;
  for (let at = value.content; at < end; at = last.end) {
    const inner = readOne(bytes, at, end, faults, depth + 1);
    if (inner === undefined) return;
    if (last === undefined) value.first = inner;
    else last.next = inner;
    if (tag === TAG.set && last !== undefined && compareOctets(last, inner) > 0) {
      report(
        faults,
        'der.set-order',
        `octet ${inner.start}: the elements of a SET OF are not in ascending order`,
      );
    }
    last = inner;
  }
}

function compareOctets(a: Tlv, b: Tlv): number {
  return asBuffer(a.bytes).compare(b.bytes, b.start, b.end, a.start, a.end);
}

/** Number of content octets. */
export function lengthOf(value: Tlv): number {
  return value.end - value.content;
}

/** Content octets, as a view. */
export function contentOf(value: Tlv): Uint8Array {
  return value.bytes.subarray(value.content, value.end);
}

/** The whole encoding, header and all, as a view. */
export function rawOf(value: Tlv): Uint8Array {
  return value.bytes.subarray(value.start, value.end);
}

/** Whether two values are encoded alike to the octet. */
export function sameEncoding(a: Tlv, b: Tlv): boolean {
  const length = a.end - a.start;
  if (length !== b.end - b.start) return false;
  for (let i = 0; i < length; i += 1) if (a.bytes[a.start + i] !== b.bytes[b.start + i]) return false;
  return true;
}

/** Whether the contents of two values are alike, whatever their tags. */
export function sameContent(a: Tlv, b: Tlv): boolean {
  const length = a.end - a.content;
  if (length !== b.end - b.content) return false;
  for (let i = 0; i < length; i += 1) if (a.bytes[a.content + i] !== b.bytes[b.content + i]) return false;
  return true;
}

/** The text of a value of a string type, or of octets that stand for one; octets that are none become U+FFFD. */
export function textOf({ bytes, tag, content, end }: Tlv): string {
  const octets = asBuffer(bytes);
  if (tag === TAG.utf8String) return octets.toString('utf8', content, end);
  if (tag !== TAG.bmpString || (end - content) % 2 !== 0) return octets.toString('latin1', content, end);
  return Buffer.from(octets.subarray(content, end)).swap16().toString('utf16le');
}

/** Content octets in hexadecimal, cut short where they are many. */
export function hexOf(value: Tlv): string {
  const octets = asBuffer(contentOf(value));
  return octets.length <= 32 ? octets.toString('hex') : `${octets.toString('hex', 0, 32)}…`;
}
