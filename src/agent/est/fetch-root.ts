import { hash } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { dial } from '../net/dial.ts';
import { exchange } from '../net/exchange.ts';
import { openTls } from '../net/open-tls.ts';
import { placeOf } from '../net/place.ts';
import type { ProxyServer } from '../net/proxy.ts';
import { readCertificates } from './read-answer.ts';

export interface RootSource {
  readonly url: URL;
  readonly label?: string;
  readonly proxy?: ProxyServer;
  readonly timeoutMs: number;
}

/**
 * The root with a fingerprint that somebody read elsewhere (RFC 7030 §4.1.1): asked for over a connection that nothing
 * authenticates, which is used for this and for nothing else, and on which no secret is said. What else comes is not believed.
 *
 * @param fingerprint SHA-256 of the root's DER, hexadecimal in any case, with or without colons
 * @returns DER
 * @throws BirthmarkError `server-untrusted` where there is no such root, `config-invalid`, `unavailable`
 */
export async function fetchRoot(
  fingerprint: string,
  { url, label, proxy, timeoutMs }: RootSource,
): Promise<Uint8Array> {
  const wanted = fingerprint.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(wanted))
    throw new BirthmarkError('config-invalid', 'the fingerprint must be a SHA-256: 64 hexadecimal digits', {
      field: 'caFingerprint',
    });
  const signal = AbortSignal.timeout(timeoutMs);
  const place = placeOf(url, 443);
  const { socket } = await openTls(await dial(place, proxy, signal), { place }, signal);
  const path = `${url.pathname.replace(/\/$/, '')}/.well-known/est${label === undefined ? '' : `/${encodeURIComponent(label)}`}/cacerts`;
  const certificates = readCertificates(await exchange(socket, place, { method: 'GET', path }, signal));
  const root = certificates.find((der) => toHex(hash('sha256', der, 'buffer')) === wanted);
  if (root) return root;
  throw new BirthmarkError(
    'server-untrusted',
    `${url.host} has no CA certificate with that fingerprint: it is another server, or the fingerprint is another root's`,
  );
}
