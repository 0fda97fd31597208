import { BirthmarkError } from '../core/errors.ts';
import { parsePem } from '../x509/pem.ts';

/** Far above any list that a broker can hold. */
const MOST_OCTETS = 64 * 1024 * 1024;
const WITHIN_MS = 30_000;

/**
 * Fetches a revocation list, DER or PEM; gives DER. Whoever uses it verifies it, so it may come over plain HTTP.
 *
 * @throws BirthmarkError `unavailable`, `bad-pem`
 */
export async function fetchList(url: string, stop: AbortSignal): Promise<Uint8Array> {
  const octets = await fetchOctets(url, AbortSignal.any([stop, AbortSignal.timeout(WITHIN_MS)]));
  return octets.includes('-----BEGIN') ? parsePem(octets.toString('latin1'), ['X509 CRL'], url) : octets;
}

async function fetchOctets(url: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const answer = await fetch(url, { redirect: 'error', signal });
    if (answer.status !== 200 || !answer.body) throw new Error(`it answers ${answer.status}`);
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of answer.body) {
      pieces.push(piece);
      size += piece.length;
      if (size > MOST_OCTETS) throw new Error('it does not end');
    }
    return Buffer.concat(pieces);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `the list of ${url} cannot be fetched: ${why}`, { cause });
  }
}
