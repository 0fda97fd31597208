import { asBuffer } from '../../core/bytes.ts';
import { TAG } from './tags.ts';

/**
 * A value to be encoded: its content is octets or other values. Lengths are known when a value is made, so that
 * `encode` writes a whole structure into one buffer, once (X.690 §10.1: definite, shortest lengths).
 */
export interface DerNode {
  readonly tag: number;
  readonly length: number;
  readonly content: Uint8Array | readonly Der[];
}

/** A value to be encoded, or octets that are encoded already and go in as they are. */
export type Der = DerNode | Uint8Array;

/** A value whose content is octets. */
export function primitive(tag: number, content: Uint8Array): DerNode {
  return { tag, length: content.length, content };
}

/** A value that contains values. */
export function constructed(tag: number, parts: readonly Der[]): DerNode {
  let length = 0;
  for (const part of parts) length += encodedSize(part);
  return { tag, length, content: parts };
}

export function sequence(...parts: readonly Der[]): DerNode {
  return constructed(TAG.sequence, parts);
}

/** A SET OF with its elements in the order of X.690 §11.6. */
export function setOf(...parts: readonly Der[]): DerNode {
  if (parts.length < 2) return constructed(TAG.set, parts);
  return constructed(TAG.set, parts.map(encode).sort(Buffer.compare));
}

/** `[number]` around a whole value (EXPLICIT tagging). */
export function explicit(number: number, part: Der): DerNode {
  return constructed(TAG.contextConstructed | number, [part]);
}

/** Number of octets of the whole encoding. */
export function encodedSize(value: Der): number {
  if (value instanceof Uint8Array) return value.length;
  return 1 + lengthSize(value.length) + value.length;
}

/** The encoding, in a buffer of its own. */
export function encode(value: Der): Buffer {
  if (value instanceof Uint8Array) return asBuffer(value);
  const out = Buffer.allocUnsafe(encodedSize(value));
  write(value, out, 0);
  return out;
}

/** Tag and length of a value whose content is written elsewhere. */
export function encodeHeader(tag: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(1 + lengthSize(length));
  out[0] = tag;
  writeLength(length, out, 1);
  return out;
}

function write(value: Der, out: Buffer, offset: number): number {
  if (value instanceof Uint8Array) return copy(value, out, offset);
  out[offset] = value.tag;
  let at = writeLength(value.length, out, offset + 1);
  if (value.content instanceof Uint8Array) return copy(value.content, out, at);
  for (const part of value.content) at = write(part, out, at);
  return at;
}

function copy(octets: Uint8Array, out: Buffer, offset: number): number {
  // `set` costs as much as copying some 30 octets one by one.
  if (octets.length > 32) out.set(octets, offset);
  else for (let i = 0; i < octets.length; i += 1) out[offset + i] = octets[i] ?? 0;
  return offset + octets.length;
}

function lengthSize(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x100) return 2;
  if (length < 0x1_0000) return 3;
  return length < 0x100_0000 ? 4 : 5;
}

function writeLength(length: number, out: Buffer, offset: number): number {
  const size = lengthSize(length);
  if (size === 1) {
    out[offset] = length;
    return offset + 1;
  }
  out[offset] = 0x80 | (size - 1);
  for (let at = offset + size - 1, rest = length; at > offset; at -= 1) {
    out[at] = rest & 0xff;
    rest >>>= 8;
  }
  return offset + size;
}
