import { asBuffer, parseBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parsePem } from '../../x509/pem.ts';

/** What is taken beside base64 of DER, by configuration. */
export interface BodyLeniency {
  /** A CSR in PEM, with its first and last line, which some clients send although EST has none. */
  readonly pem: boolean;
}

/** What DER of a CSR begins with, and what it always has somewhere; base64 may begin with the first and never has the second. */
const SEQUENCE = 0x30;
const ASCII_END = 0x80;

/**
 * DER of a request's body: base64 of RFC 4648 §4 whatever Content-Transfer-Encoding says, with CR, LF, spaces and tabs
 * anywhere (RFC 8951 §3). Its size is bounded by who reads it.
 *
 * @throws BirthmarkError `bad-base64`, and `bad-pem` where PEM is taken
 */
export function decodeBody(body: Uint8Array, { pem }: BodyLeniency): Buffer {
  const text = asBuffer(body).toString('latin1');
  if (text.includes('-----BEGIN')) {
    if (pem) return parsePem(text, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'], 'body');
    throw refuse(
      'is PEM; EST takes base64 of the DER, so leave the lines out that begin with ----- (RFC 8951 §3)',
    );
  }
  if (body[0] === SEQUENCE && body.some((octet) => octet >= ASCII_END))
    throw refuse('is DER; EST takes it in base64, e.g. from openssl base64 (RFC 8951 §3)');
  const base64 = text.replace(/[\r\n\t ]+/g, '');
  if (base64 === '') throw refuse('is empty');
  return parseBase64(base64, 'the body without white space');
}

function refuse(why: string): BirthmarkError {
  return new BirthmarkError('bad-base64', `the body ${why}`, { field: 'body' });
}
