import { createBoundedMap } from '../../core/bounded-map.ts';
import { breathe } from '../../core/breathe.ts';
import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type CertIdHash, certIdIssuers } from '../../x509/ocsp-cert-id.ts';
import { type OcspRequest, readOcspRequest } from '../../x509/ocsp-request.ts';
import { encodeOcspFailure, type OcspFailure } from '../../x509/ocsp-response.ts';
import { type Authority, madeOf } from '../authority.ts';
import { createAnswerCache } from './answer-cache.ts';
import type { ResponderSigner } from './responder-signer.ts';
import {
  cacheKey,
  createAnswerSigner,
  type Entry,
  isEchoed,
  type Kept,
  type MaySign,
  type OcspAnswer,
  type OcspPolicy,
  type OcspResponderOptions,
  type Signed,
} from './sign-answer.ts';
import { signingTurn } from './signing-turn.ts';

/**
 * Answers requests, DER in, DER out. Never throws. What is kept already comes at once, so that nobody waits for a promise.
 */
export type OcspResponder = (request: Uint8Array, maySign?: MaySign) => OcspAnswer | Promise<OcspAnswer>;

/** Answers that are kept, some 1 KiB each, and statuses. */
const MOST_ENTRIES = 40_000;
/** Requests that are known to the octet, and how long such a one may be. */
const MOST_KNOWN = 10_000;
const KNOWN_OCTETS = 256;
/** Answers that are signed ahead and are not there yet. */
const MOST_RENEWING = 1000;
const everybody: MaySign = () => true;

/** A way in which requests name an issuer. */
interface Way {
  readonly authority: Authority;
  readonly digest: CertIdHash;
  readonly number: number;
}

/** A request for certificates of one authority of ours. */
interface Asked {
  readonly authority: Authority;
  readonly request: OcspRequest;
  /** Of each CertID. */
  readonly digests: readonly CertIdHash[];
  /** Where its answer is kept; undefined where it is of use to nobody else. */
  readonly key: string | undefined;
}

/**
 * The responder of RFC 6960 in the lightweight profile of RFC 9919: it answers for its own authorities only, each by a
 * delegated signer of that authority's. Answers without a nonce to a request for one certificate are kept until half of
 * their time is over or the ledger knows better, and what is asked for then is signed again before it is needed.
 */
export function createOcspResponder(options: OcspResponderOptions): OcspResponder {
  const { authorities, ledger, signerOf, policy, clock, onFault, tally } = options;
  const ways = new Map<string, Way>();
  const waysOf = new Map<string, Way[]>();
  const learn = (authority: Authority): void => {
    const { subject: name, spki } = authority.certificate.tbs;
    const its = certIdIssuers({ name, spki }).map(({ digest, octets }, at) => {
      const way: Way = { authority, digest, number: ways.size + at };
      return { way, octets: octets.toString('latin1') };
    });
    for (const { way, octets } of its) ways.set(octets, way);
    waysOf.set(
      authority.name,
      its.map(({ way }) => way),
    );
  };
  /** Generations come while we answer. What their certificates are named by stays as it is. */
  const knownWays = madeOf(authorities, () => {
    for (const authority of authorities.values()) if (!waysOf.has(authority.name)) learn(authority);
    return ways;
  });
  /** Who signed what is kept. */
  const signers = new Map<string, ResponderSigner>();
  const cache = createAnswerCache<Entry>({
    ledger,
    most: MOST_ENTRIES,
    keysOf: ({ authority, serial }) =>
      [authority, ...(waysOf.get(authority) ?? []).map(({ number }) => number)].map((about) =>
        cacheKey(about, serial),
      ),
    isOtherwise: () => {
      const replaced = [...signers].filter(([name, signer]) => signerOf(name) !== signer);
      for (const [name] of replaced) signers.delete(name);
      return replaced.length > 0;
    },
  });
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
  /** What requests say that came before, to the octet: they are not read again. What is said of them is not in here. */
  const known = createBoundedMap<Asked>(MOST_KNOWN);
  const renewing = new Set<string>();

  const fail = (error: unknown): OcspAnswer => {
    onFault(error);
    return FAILURES[
      error instanceof BirthmarkError && error.code !== 'internal' ? 'tryLater' : 'internalError'
    ];
  };
  const answerAnew = async (asked: Asked, maySign: MaySign): Promise<OcspAnswer> => {
    const { authority, request, key } = asked;
    try {
      // What is kept goes out first, and signatures are made side by side.
      if (key === undefined) await signingTurn();
      const now = clock();
      if (!cache.isCurrent(now)) await cache.bringUpToDate(now);
      const kept = key === undefined ? undefined : cache.get(key);
      if (kept?.kind === 'answer' && now < kept.end) return give(asked, kept, now);
      const { generation } = cache;
      const made = await sign(authority, request, maySign);
      if (!made) {
        tally.limited += 1;
        return FAILURES.tryLater;
      }
      tally.signed += 1;
      // A serial number that is unknown may be issued in the next moment, of which no status change tells.
      if (key !== undefined && made.isKnown) cache.put(key, toKept(made.answer, now, policy), generation);
      return made.answer;
    } catch (error) {
      return fail(error);
    }
  };
  const give = (asked: Asked, kept: Kept, now: number): OcspAnswer => {
    if (now >= kept.renewAt) renew(asked);
    tally.kept += 1;
    return kept.answer;
  };
  const renew = ({ authority, request, key }: Asked): void => {
    if (key === undefined || renewing.has(key) || renewing.size >= MOST_RENEWING) return;
    renewing.add(key);
    breathe()
      .then(async () => {
        const { generation } = cache;
        const made = await sign(authority, request, everybody);
        if (made?.isKnown) cache.put(key, toKept(made.answer, clock(), policy), generation);
      })
      .catch(onFault)
      .finally(() => renewing.delete(key));
  };

  return (der, maySign = everybody) => {
    try {
      const octets = der.length <= KNOWN_OCTETS ? asBuffer(der).toString('latin1') : undefined;
      const before = octets === undefined ? undefined : known.get(octets);
      const asked = before ?? readAsked(der, knownWays());
      if (typeof asked === 'string') return FAILURES[asked];
      for (const digest of asked.digests) tally.certIds[digest] += 1;
      const { key } = asked;
      if (key === undefined) return answerAnew(asked, maySign);
      const now = clock();
      const kept = cache.isCurrent(now) ? cache.get(key) : undefined;
      if (kept?.kind !== 'answer' || now >= kept.end) return answerAnew(asked, maySign);
      // Asked for again, so it will be once more. A copy: whoever gave the octets goes on with their memory.
      if (!before && octets !== undefined) {
        const copy = readAsked(new Uint8Array(der), knownWays());
        if (typeof copy !== 'string') known.put(octets, copy);
      }
      return give(asked, kept, now);
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

/** What a request asks for; views into it. */
function readAsked(der: Uint8Array, ways: ReadonlyMap<string, Way>): Asked | OcspFailure {
  let request: OcspRequest;
  try {
    request = readOcspRequest(der);
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === 'bad-der') return 'malformedRequest';
    throw error;
  }
  const digests: CertIdHash[] = [];
  let first: Way | undefined;
  for (const { issuer } of request.certIds) {
    const way = ways.get(asBuffer(issuer).toString('latin1'));
    // The one authority of all that is asked for; nobody may sign for two (RFC 6960 §4.2.2.2).
    if (!way || (first && first.authority !== way.authority)) return 'unauthorized';
    first ??= way;
    digests.push(way.digest);
  }
  const [only, ...more] = request.certIds;
  if (!first || !only) return 'malformedRequest';
  const isShared = more.length === 0 && !isEchoed(request.nonce);
  const key = isShared ? cacheKey(first.number, only.serial) : undefined;
  return { authority: first.authority, request, digests, key };
}

/** Others keep an answer for a quarter of its time at most, and get none of which less than that is left. */
function toKept(answer: Signed, now: number, { validityMs }: OcspPolicy): Kept {
  const life = Math.min(validityMs, answer.nextUpdate - now);
  return { kind: 'answer', answer, renewAt: now + life / 2, end: now + (life * 3) / 4 };
}
