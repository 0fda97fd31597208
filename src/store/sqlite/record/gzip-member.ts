import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

/**
 * A gzip member (RFC 1952 §2.3) that tells its own length in an extra field, so that a file of members is walked without
 * inflating any. `zcat` reads such a file as one text.
 */
const HEADER_BYTES = 20;
const TRAILER_BYTES = 8;
/** ID1 ID2, deflate, FLG.FEXTRA, no time, fastest, made on Unix, XLEN 8, subfield `BM` of 4 octets: the length follows. */
export const MEMBER_MARK = Buffer.from('1f8b0804000000000403' + '0800' + '424d0400', 'hex');
const LENGTH_AT = MEMBER_MARK.length;
/** Of a member, and of its text: a length beyond it is no length. */
export const MOST_BYTES = 256 * 1024 * 1024;

/** Packs a text; undefined where it is more than `decodeMember` takes. Level 1: a little larger, several times faster. */
export function encodeMember(text: string): Buffer | undefined {
  if (Buffer.byteLength(text) > MOST_BYTES) return undefined;
  const plain = Buffer.from(text);
  const deflated = deflateRawSync(plain, { level: 1 });
  const length = HEADER_BYTES + deflated.length + TRAILER_BYTES;
  if (length > MOST_BYTES) return undefined;
  const member = Buffer.allocUnsafe(length);
  MEMBER_MARK.copy(member);
  member.writeUInt32LE(member.length, LENGTH_AT);
  deflated.copy(member, HEADER_BYTES);
  member.writeUInt32LE(crc32(plain), member.length - 8);
  member.writeUInt32LE(plain.length, member.length - 4);
  return member;
}

/** What a member's head says of its length: `short` where there is too little of it, `none` where it is no member. */
export function memberLength(head: Uint8Array): number | 'short' | 'none' {
  const known = Buffer.from(head.subarray(0, MEMBER_MARK.length));
  if (!known.equals(MEMBER_MARK.subarray(0, known.length))) return 'none';
  if (head.length < HEADER_BYTES) return 'short';
  const length = Buffer.from(head.subarray(LENGTH_AT, HEADER_BYTES)).readUInt32LE();
  return length >= HEADER_BYTES + TRAILER_BYTES && length <= MOST_BYTES ? length : 'none';
}

/** Unpacks one whole member; undefined where it is damaged. */
export function decodeMember(member: Buffer): string | undefined {
  if (memberLength(member) !== member.length) return undefined;
  const size = member.readUInt32LE(member.length - 4);
  if (size > MOST_BYTES) return undefined;
  try {
    const plain = inflateRawSync(member.subarray(HEADER_BYTES, -TRAILER_BYTES), {
      maxOutputLength: size + 1,
    });
    const whole = plain.length === size && crc32(plain) === member.readUInt32LE(member.length - 8);
    return whole ? plain.toString('utf8') : undefined;
  } catch {
    return undefined;
  }
}
