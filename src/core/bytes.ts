import { BirthmarkError } from './errors.ts';

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Lower-case hexadecimal, two digits an octet. */
export function toHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex');
}

/** Base64 of RFC 4648 §4 without line breaks. */
export function toBase64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64');
}

/** The same memory seen as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether both hold the same octets. How long it takes tells where they differ, so this is not for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) {
    if (a[at] !== b[at]) return false;
  }
  return true;
}

/**
 * Decodes base64 (RFC 4648 §4) strictly: padding required, no character outside the alphabet, no stray bits.
 * Node's own decoder skips illegal characters and takes base64url too.
 *
 * @param field the input member to name in the error
 * @throws BirthmarkError `bad-base64`
 */
export function parseBase64(text: string, field: string): Buffer {
  if (text.length % 4 === 0 && BASE64.test(text)) {
    const bytes = Buffer.from(text, 'base64');
    // Re-encoding is the cheapest way to see bits that the padding should have left zero.
    if (bytes.toString('base64') === text) return bytes;
  }
  throw new BirthmarkError(
    'bad-base64',
    `${field} is not base64 as RFC 4648 §4 defines it (alphabet A–Z a–z 0–9 + /, with = padding, no line breaks)`,
    { field },
  );
}
