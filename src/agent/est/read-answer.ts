import { parseBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readCertsOnly } from '../../x509/certs-only.ts';
import type { Reply } from '../net/exchange.ts';
import { retryAfterMs } from '../net/retry-after.ts';
import type { EnrollAnswer } from '../ports.ts';

const MAX_DETAIL = 300;
const CODE = /^([a-z][a-z-]{1,40}): /;
/** What passes by itself: too slow, too many, and all that is the server's own fault. */
const PASSING: ReadonlySet<number> = new Set([202, 408, 425, 429]);

/**
 * What an answer to simpleenroll or simplereenroll says (RFC 7030 §4.2.3, RFC 8951 §3).
 *
 * @throws BirthmarkError `answer-refused` for a 200 that holds anything else than one certificate
 */
export function readEnrollAnswer(reply: Reply): EnrollAnswer {
  const { status, headers } = reply;
  if (status === 200) {
    const [certificate, ...more] = readCertificates(reply);
    if (certificate && more.length === 0) return { kind: 'issued', certificate };
    throw refused(`has ${more.length + 1} certificates where one belongs (RFC 7030 §4.2.3)`);
  }
  const text = plainText(reply.body);
  const detail = `the server answers ${status}${text && `: ${text}`}`;
  if (PASSING.has(status) || status >= 500) {
    const wait = retryAfterMs(headers);
    return { kind: 'later', detail, ...(wait !== undefined && { retryAfterMs: wait }) };
  }
  const code = CODE.exec(text)?.[1];
  return { kind: 'refused', status, detail, ...(code !== undefined && { code }) };
}

/**
 * The certificates of a 200, DER: certs-only in base64 with white space anywhere and nothing else that is not base64.
 *
 * @throws BirthmarkError `answer-refused`
 */
export function readCertificates({ status, headers, body }: Reply): readonly Uint8Array[] {
  if (status !== 200) throw refused(`has status ${status}: ${plainText(body)}`);
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/pkcs7-mime')
    throw refused(`is ${type ?? 'of no type'}, not application/pkcs7-mime`);
  try {
    const base64 = body.toString('latin1').replace(/[\r\n\t ]+/g, '');
    return readCertsOnly(parseBase64(base64, 'the answer without white space'));
  } catch (cause) {
    if (!(cause instanceof BirthmarkError)) throw cause;
    throw refused(`cannot be read: ${cause.message}`, cause);
  }
}

/** For people: without what could steer a terminal, and not too long. */
function plainText(body: Buffer): string {
  return body
    .toString('utf8')
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, MAX_DETAIL);
}

function refused(why: string, cause?: unknown): BirthmarkError {
  return new BirthmarkError('answer-refused', `the server's answer ${why}`, { cause });
}
