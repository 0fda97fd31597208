import Type from 'typebox';
import { BirthmarkError } from '../core/errors.ts';
import { schemaParser } from '../core/schema.ts';
import { findExtension, readCertificate } from '../x509/certificate.ts';
import { DerReader } from '../x509/der/reader.ts';
import { TAG } from '../x509/der/tags.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { retryAfterMs } from './net/retry-after.ts';
import type { Ask } from './net/server-link.ts';
import type { RenewalInfo } from './ports.ts';

const parseInfo = schemaParser(
  Type.Object({ suggestedWindow: Type.Object({ start: Type.String(), end: Type.String() }) }),
  'answer-refused',
);

/** RFC 3339 §5.6, with the offset that it demands: without one it would be this machine's local time. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

/**
 * How RFC 9773 §4.1 names a certificate: the keyIdentifier of its AuthorityKeyIdentifier and the octets of its serial number's
 * INTEGER, sign octet and all, each in base64url without padding.
 *
 * @returns undefined for a certificate without such a keyIdentifier
 */
export function renewalId(certificate: Uint8Array): string | undefined {
  const { tbs } = readCertificate(certificate);
  const extension = findExtension(tbs, EXTENSION.authorityKeyIdentifier);
  if (!extension) return undefined;
  const fields = new DerReader(extension.value).sequence('authorityKeyIdentifier');
  if (fields.nextTag !== TAG.context) return undefined;
  const keyIdentifier = fields.content(TAG.context, 'keyIdentifier');
  return [keyIdentifier, tbs.serial].map((octets) => Buffer.from(octets).toString('base64url')).join('.');
}

/**
 * Asks when a certificate is to be renewed (RFC 9773 §4). Nobody signs in for it.
 *
 * @returns undefined where the server does not know of such a thing
 * @throws BirthmarkError `answer-refused`, `unavailable`
 */
export async function askRenewalInfo(ask: Ask, certificate: Uint8Array): Promise<RenewalInfo | undefined> {
  const id = renewalId(certificate);
  if (id === undefined) return undefined;
  const { status, headers, body } = await ask({ method: 'GET', path: `/api/v1/renewal-info/${id}` });
  if (status === 404 || status === 405 || status === 501) return undefined;
  if (status !== 200)
    throw new BirthmarkError(
      'unavailable',
      `the server answers ${status} where it should tell the renewal window`,
    );
  const wait = retryAfterMs(headers);
  return { window: readWindow(body), ...(wait !== undefined && { retryAfterMs: wait }) };
}

/** @throws BirthmarkError `answer-refused` */
export function readWindow(body: Buffer): RenewalInfo['window'] {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new BirthmarkError('answer-refused', 'the renewal window is not JSON', { cause });
  }
  const { suggestedWindow } = parseInfo(value, 'renewal-info');
  const [start, end] = [suggestedWindow.start, suggestedWindow.end].map((text) =>
    TIMESTAMP.test(text) ? Date.parse(text) : Number.NaN,
  );
  if (start !== undefined && end !== undefined && start < end) return { start, end };
  throw new BirthmarkError(
    'answer-refused',
    'the renewal window must be two RFC 3339 times, the first before the second (RFC 9773 §4.2)',
  );
}
