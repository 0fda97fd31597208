import { BirthmarkError } from '../core/errors.ts';
import { parsePem, parsePemBlocks } from '../x509/pem.ts';
import { MOST_LIST_OCTETS } from './crl/list-store.ts';

const WITHIN_MS = 30_000;
const SEQUENCE = 0x30;

/** What a server said of a list when it gave it: who shows it again is not given the same one twice. */
export interface ListTag {
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface FetchedLists {
  /** DER; several where a PEM file holds them. */
  readonly lists: readonly Uint8Array[];
  readonly tag: ListTag;
}

/**
 * Fetches a revocation list, DER or PEM; gives DER. Whoever uses it verifies it, so it may come over plain HTTP.
 *
 * @throws BirthmarkError `unavailable`, `bad-pem`
 */
export async function fetchList(url: string, stop: AbortSignal): Promise<Uint8Array> {
  const { octets } = await ask(url, stop, {});
  return isDer(octets) ? octets : parsePem(octets.toString('latin1'), ['X509 CRL'], url);
}

/**
 * The same for one file of several lists; undefined where it is what it was.
 *
 * @throws BirthmarkError `unavailable`, `bad-pem`
 */
export async function fetchLists(
  url: string,
  stop: AbortSignal,
  { etag, lastModified }: ListTag,
): Promise<FetchedLists | undefined> {
  const { octets, answer } = await ask(url, stop, {
    ...(etag !== undefined && { 'if-none-match': etag }),
    ...(lastModified !== undefined && { 'if-modified-since': lastModified }),
  });
  if (answer.status === 304) return undefined;
  const [newTag, modified] = [answer.headers.get('etag'), answer.headers.get('last-modified')];
  const tag = {
    ...(newTag !== null && { etag: newTag }),
    ...(modified !== null && { lastModified: modified }),
  };
  return { lists: splitLists(octets, url), tag };
}

/**
 * The lists of a file: one as DER, or any number as PEM.
 *
 * @param what for people
 * @throws BirthmarkError `bad-pem`
 */
export function splitLists(octets: Buffer, what: string): readonly Uint8Array[] {
  return isDer(octets) ? [octets] : parsePemBlocks(octets.toString('latin1'), ['X509 CRL'], what);
}

function isDer(octets: Buffer): boolean {
  return octets[0] === SEQUENCE;
}

async function ask(url: string, stop: AbortSignal, headers: Record<string, string>) {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(WITHIN_MS)]);
  try {
    const answer = await fetch(url, { redirect: 'error', signal, headers });
    const asked = Object.keys(headers).length > 0;
    if (answer.status !== 200 && !(asked && answer.status === 304))
      throw new Error(`it answers ${answer.status}`);
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of answer.body ?? []) {
      pieces.push(piece);
      size += piece.length;
      if (size > MOST_LIST_OCTETS) throw new Error('it does not end');
    }
    return { octets: Buffer.concat(pieces), answer };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `the list of ${url} cannot be fetched: ${why}`, { cause });
  }
}
