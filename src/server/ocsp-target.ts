import { parseBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';

export const MOUNT = '/ocsp';
export const REQUEST_TYPE = 'application/ocsp-request';
/** Far above twenty CertIDs; what is longer is refused before it is read. */
export const MOST_OCTETS = 16_384;
/** What no OCSPRequest is: the responder says so in its own words. */
export const NOTHING = Buffer.alloc(0);

/**
 * The request in a path: base64, of which each character may be percent-encoded. Read from the target as it came, since
 * slashes that belong to it must be neither joined nor taken for separators. It begins with M, because a SEQUENCE does: any
 * slash before that is from the joining of URLs.
 */
export function readTarget(target: string): Uint8Array {
  const text = target.slice(MOUNT.length).replace(/^\/+/, '');
  try {
    return parseBase64(text.includes('%') ? decodeURIComponent(text) : text, 'request');
  } catch (error) {
    if (error instanceof BirthmarkError || error instanceof URIError) return NOTHING;
    throw error;
  }
}
