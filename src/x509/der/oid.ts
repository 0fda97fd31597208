import { BirthmarkError } from '../../core/errors.ts';

const decoded = new Map<string, string>();
const encoded = new Map<string, Uint8Array>();
/** Bounds what strangers can make us remember. */
const MAX_REMEMBERED = 512;

/** Content octets of an OBJECT IDENTIFIER (X.690 §8.19) from its dotted form, which the caller has checked. */
export function encodeOidContent(dotted: string): Uint8Array {
  const known = encoded.get(dotted);
  if (known) return known;
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift(0x80 | (left % 128));
    octets.push(...groups);
  }
  const content = Uint8Array.from(octets);
  if (encoded.size < MAX_REMEMBERED) encoded.set(dotted, content);
  return content;
}

/**
 * Dotted form of an OBJECT IDENTIFIER's content octets.
 *
 * @throws BirthmarkError `bad-der` for an empty, cut-off or padded value, or an arc above 2^53
 */
export function decodeOidContent(content: Uint8Array): string {
  const key = Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
  const known = decoded.get(key);
  if (known) return known;
  const arcs: number[] = [];
  let arc = 0;
  let starts = true;
  for (const octet of content) {
    if (starts && octet === 0x80) throw new BirthmarkError('bad-der', 'an object identifier has an arc with leading zeros');
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw new BirthmarkError('bad-der', 'an object identifier has an arc above 2^53');
    starts = (octet & 0x80) === 0;
    if (starts) {
      arcs.push(arc);
      arc = 0;
    }
  }
  if (!starts || arcs.length === 0) throw new BirthmarkError('bad-der', 'an object identifier is empty or cut off');
  const joint = arcs[0] ?? 0;
  const first = Math.min(2, Math.floor(joint / 40));
  const dotted = [first, joint - first * 40, ...arcs.slice(1)].join('.');
  if (decoded.size < MAX_REMEMBERED && content.length <= 16) decoded.set(key, dotted);
  return dotted;
}
