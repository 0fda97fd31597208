import { isUtf8 } from 'node:buffer';
import { parseBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';

/** Above any honest name and ticket: bounds what a stranger makes us decode. */
const MAX_CREDENTIALS = 1024;
const BASIC = /^Basic(?: +(.*))?$/is;
/** RFC 7617 §2: neither part has one. */
const CONTROL = /\p{Cc}/u;

export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/**
 * Reads `Authorization: Basic` (RFC 7617 §2) in UTF-8. One departure: the text is parted at its last colon, since a device's
 * serial number may have colons and is the user here, and a ticket has none.
 *
 * @returns undefined where there is no such header, or one of another scheme
 * @throws BirthmarkError `bad-request`, with nothing of the credentials in it
 */
export function parseBasicAuth(authorization: string | undefined): BasicCredentials | undefined {
  const match = BASIC.exec(authorization ?? '');
  if (!match) return undefined;
  const octets = decode(match[1]?.replace(/ +$/, '') ?? '');
  const text = octets.toString('utf8');
  const colon = text.lastIndexOf(':');
  if (colon === -1 || !isUtf8(octets) || CONTROL.test(text))
    throw refuse('is not USER:PASSWORD in UTF-8, without control characters');
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function decode(base64: string): Buffer {
  if (base64.length > MAX_CREDENTIALS) throw refuse(`has more than ${MAX_CREDENTIALS} characters`);
  try {
    return parseBase64(base64, 'authorization');
  } catch {
    throw refuse('is not base64 as RFC 4648 §4 defines it');
  }
}

function refuse(why: string): BirthmarkError {
  return new BirthmarkError('bad-request', `Authorization: Basic ${why} (RFC 7617 §2)`, {
    field: 'authorization',
  });
}
