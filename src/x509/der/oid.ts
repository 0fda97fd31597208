import { BirthmarkError } from '../../core/errors.ts';

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
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift(0x80 | (left % 128));
    octets.push(...groups);
  }
  const content = Uint8Array.from(octets);
  if (encoded.size < MAX_REMEMBERED) encoded.set(dotted, content);
  return content;
}

/** Dotted forms under id-ce, which most extensions are: one string each, made once. */
const CERTIFICATE_EXTENSIONS = Array.from({ length: 0x80 }, (_, arc) => `2.5.29.${arc}`);

/**
 * Dotted form of an OBJECT IDENTIFIER whose content octets are at `start`…`end`.
 *
 * @throws BirthmarkError `bad-der` for an empty, cut-off or padded value, or an arc above 2^53
 */
export function decodeOidContent(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start === 3 && bytes[start] === 0x55 && bytes[start + 1] === 0x1d) {
    const known = CERTIFICATE_EXTENSIONS[bytes[start + 2] ?? 0x80];
    if (known !== undefined) return known;
  }
  let dotted = '';
  let arc = 0;
  let starts = true;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (starts && octet === 0x80)
      throw new BirthmarkError('bad-der', 'an object identifier has an arc with leading zeros');
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER)
      throw new BirthmarkError('bad-der', 'an object identifier has an arc above 2^53');
    starts = octet < 0x80;
    if (!starts) continue;
    dotted = dotted === '' ? firstTwoArcs(arc) : `${dotted}.${arc}`;
    arc = 0;
  }
  if (!starts || dotted === '')
    throw new BirthmarkError('bad-der', 'an object identifier is empty or cut off');
  return dotted;
}

/** X.690 §8.19.4: the first octet group holds two arcs. */
function firstTwoArcs(joint: number): string {
  if (joint < 40) return `0.${joint}`;
  return joint < 80 ? `1.${joint - 40}` : `2.${joint - 80}`;
}
