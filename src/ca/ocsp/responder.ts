import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { certIdIssuers } from '../../x509/ocsp-cert-id.ts';
import { type OcspRequest, readOcspRequest } from '../../x509/ocsp-request.ts';
import { encodeOcspFailure, type OcspFailure } from '../../x509/ocsp-response.ts';
import type { Authority } from '../authority.ts';
import { createAnswerCache } from './answer-cache.ts';
import type { ResponderSigner } from './responder-signer.ts';
import {
  cacheKey,
  createAnswerSigner,
  type Entry,
  isEchoed,
  type Kept,
  type OcspAnswer,
  type OcspPolicy,
  type OcspResponderOptions,
  type Signed,
} from './sign-answer.ts';

/**
 * Answers requests, DER in, DER out. Never throws. What is kept already comes at once, so that nobody waits for a promise.
 */
export type OcspResponder = (request: Uint8Array) => OcspAnswer | Promise<OcspAnswer>;

/** Answers that are kept, some 1 KiB each, and statuses. */
const MOST_ENTRIES = 40_000;
interface Asked {
  readonly authority: Authority;
  /** Tells apart the ways in which a request names an issuer. */
  readonly way: number;
}

/**
 * The responder of RFC 6960 in the lightweight profile of RFC 9919: it answers for its own authorities only, each by a
 * delegated signer of that authority's. Answers without a nonce to a request for one certificate are kept until half of
 * their time is over or the ledger knows better, and what is asked for then is signed again before it is needed.
 */
export function createOcspResponder(options: OcspResponderOptions): OcspResponder {
  const { authorities, ledger, signerOf, clock, onFault } = options;
  const issuers = new Map<string, Asked>();
  const waysOf = new Map<string, number[]>();
  for (const authority of authorities.values()) {
    const { subject: name, spki } = authority.certificate.tbs;
    const ways = certIdIssuers({ name, spki }).map((octets) => {
      const way = issuers.size;
      issuers.set(octets.toString('latin1'), { authority, way });
      return way;
    });
    waysOf.set(authority.name, ways);
  }
  const cache = createAnswerCache<Entry>({
    ledger,
    most: MOST_ENTRIES,
    keysOf: ({ authority, serial }) =>
      [authority, ...(waysOf.get(authority) ?? [])].map((about) => cacheKey(about, serial)),
    isOtherwise: () => {
      const replaced = [...signers].filter(([name, signer]) => signerOf(name) !== signer);
      for (const [name] of replaced) signers.delete(name);
      return replaced.length > 0;
    },
  });
  /** Who signed what is kept. */
  const signers = new Map<string, ResponderSigner>();
  const sign = createAnswerSigner(
    {
      ...options,
      signerOf: (name) => {
        const signer = signerOf(name);
        if (signer) signers.set(name, signer);
        return signer;
      },
    },
    cache,
  );
  const renewing = new Set<string>();

  const fail = (error: unknown): OcspAnswer => {
    onFault(error);
    return FAILURES[
      error instanceof BirthmarkError && error.code !== 'internal' ? 'tryLater' : 'internalError'
    ];
  };
  const answerAnew = async (
    asked: Asked,
    request: OcspRequest,
    key: string | undefined,
  ): Promise<OcspAnswer> => {
    try {
      const now = clock();
      if (!cache.isCurrent(now)) await cache.bringUpToDate(now);
      const kept = key === undefined ? undefined : cache.get(key);
      if (key !== undefined && kept?.kind === 'answer' && now < kept.end) {
        if (now >= kept.renewAt) renew(asked, request, key);
        return kept.answer;
      }
      const { generation } = cache;
      const { answer, isKnown } = await sign(asked.authority, request);
      // A serial number that is unknown may be issued in the next moment, of which no status change tells.
      if (key !== undefined && isKnown) cache.put(key, toKept(answer, now, options.policy), generation);
      return answer;
    } catch (error) {
      return fail(error);
    }
  };
  const renew = (asked: Asked, request: OcspRequest, key: string): void => {
    if (renewing.has(key)) return;
    renewing.add(key);
    const { generation } = cache;
    sign(asked.authority, request)
      .then(({ answer, isKnown }) => {
        if (isKnown) cache.put(key, toKept(answer, clock(), options.policy), generation);
      })
      .catch(onFault)
      .finally(() => renewing.delete(key));
  };

  return (der) => {
    try {
      const request = readRequest(der);
      if (!request) return FAILURES.malformedRequest;
      const asked = findIssuer(request, issuers);
      if (!asked) return FAILURES.unauthorized;
      const [only, ...more] = request.certIds;
      const isShared = !isEchoed(request.nonce) && more.length === 0 && only !== undefined;
      if (!isShared) return answerAnew(asked, request, undefined);
      const key = cacheKey(asked.way, only.serial);
      const now = clock();
      const kept = cache.isCurrent(now) ? cache.get(key) : undefined;
      if (kept?.kind !== 'answer' || now >= kept.end) return answerAnew(asked, request, key);
      if (now >= kept.renewAt) renew(asked, request, key);
      return kept.answer;
    } catch (error) {
      return fail(error);
    }
  };
}

const FAILURES: Readonly<Record<OcspFailure, OcspAnswer>> = {
  malformedRequest: failure('malformedRequest'),
  internalError: failure('internalError'),
  tryLater: failure('tryLater'),
  unauthorized: failure('unauthorized'),
};

function failure(name: OcspFailure): OcspAnswer {
  return { kind: 'failure', der: encodeOcspFailure(name), failure: name };
}

function readRequest(der: Uint8Array): OcspRequest | undefined {
  try {
    return readOcspRequest(der);
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === 'bad-der') return undefined;
    throw error;
  }
}

/** The one authority of all that is asked for; nobody may sign for two (RFC 6960 §4.2.2.2). */
function findIssuer({ certIds }: OcspRequest, issuers: ReadonlyMap<string, Asked>): Asked | undefined {
  let found: Asked | undefined;
  for (const { issuer } of certIds) {
    const asked = issuers.get(asBuffer(issuer).toString('latin1'));
    if (!asked || (found && found.authority !== asked.authority)) return undefined;
    found ??= asked;
  }
  return found;
}

/** Others keep an answer for a quarter of its time at most, and get none of which less than that is left. */
function toKept(answer: Signed, now: number, { validityMs }: OcspPolicy): Kept {
  const life = Math.min(validityMs, answer.nextUpdate - now);
  return { kind: 'answer', answer, renewAt: now + life / 2, end: now + (life * 3) / 4 };
}
