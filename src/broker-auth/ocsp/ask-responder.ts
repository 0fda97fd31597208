import { BirthmarkError } from '../../core/errors.ts';

const WITHIN_MS = 10_000;
const MOST_OCTETS = 64 * 1024;
/** RFC 9919 §6: a request is sent by GET where its URL stays below, so that caches can answer it. */
const MOST_URL = 255;

/**
 * Asks an OCSP responder (RFC 6960 appendix A, RFC 9919 §6). The answer is signed, so plain HTTP will do.
 *
 * @param request DER
 * @returns DER of an OCSPResponse, of which nothing is verified
 * @throws BirthmarkError `unavailable`
 */
export async function askResponder(url: string, request: Uint8Array, stop: AbortSignal): Promise<Buffer> {
  const base = url.replace(/\/$/, '');
  const get = `${base}/${encodeURIComponent(Buffer.from(request).toString('base64'))}`;
  try {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(WITHIN_MS)]);
    const answer = await (get.length <= MOST_URL
      ? fetch(get, { redirect: 'error', signal })
      : fetch(url, {
          method: 'POST',
          redirect: 'error',
          signal,
          headers: { 'content-type': 'application/ocsp-request' },
          body: new Uint8Array(request),
        }));
    if (answer.status !== 200) throw new Error(`it answers ${answer.status}`);
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of answer.body ?? []) {
      size += piece.length;
      if (size > MOST_OCTETS) throw new Error('its answer does not end');
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `the responder at ${new URL(url).host} cannot be asked: ${why}`, {
      cause,
    });
  }
}
