import { hash } from 'node:crypto';
import { asBuffer } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { CRL_REASON } from '../../x509/crl-reason.ts';
import { certIdIssuers } from '../../x509/ocsp-cert-id.ts';
import { type CertId, type OcspRequest, readOcspRequest } from '../../x509/ocsp-request.ts';
import {
  type CertStatus,
  encodeOcspFailure,
  encodeOcspResponse,
  encodeResponseData,
  type OcspFailure,
} from '../../x509/ocsp-response.ts';
import type { Authorities, Authority } from '../authority.ts';
import type { CertificateStatus, RevocationReads } from '../ports.ts';
import { type AnswerCache, createAnswerCache } from './answer-cache.ts';
import type { ResponderSigner } from './responder-signer.ts';

/** What the configuration says of answers. */
export interface OcspPolicy {
  /** From signing to nextUpdate. */
  readonly validityMs: number;
  /** How long others may keep an answer, which is how late they may hear of a revocation. */
  readonly maxAgeSeconds: number;
  /** What a serial number is that was never issued: revoked for ever (RFC 6960 §2.2), or unknown. */
  readonly neverIssued: 'revoked' | 'unknown';
}

/** An answer to an OCSP request; an error has a status and nothing else, and nobody may keep it. */
export type OcspAnswer =
  | { readonly kind: 'failure'; readonly der: Buffer; readonly failure: OcspFailure }
  | {
      readonly kind: 'answer';
      /** OCSPResponse, DER. */
      readonly der: Buffer;
      /** Milliseconds since the epoch, whole seconds. */
      readonly thisUpdate: number;
      readonly nextUpdate: number;
      /** Hexadecimal SHA-256 of `der`; undefined for an answer to a nonce, which is of use to nobody else. */
      readonly digest: string | undefined;
      /** So long others may keep it. */
      readonly maxAgeSeconds: number;
      /** No status changed in or since the second that is its thisUpdate: none that says otherwise has that time. */
      readonly isAlone: boolean;
    };

type Signed = Extract<OcspAnswer, { kind: 'answer' }>;

export interface OcspResponderOptions {
  readonly authorities: Authorities;
  readonly ledger: RevocationReads;
  /** Who answers for an authority; undefined where nobody can now. */
  readonly signerOf: (authority: string) => ResponderSigner | undefined;
  readonly policy: OcspPolicy;
  readonly clock: Clock;
  /** Told of what is answered with tryLater and internalError. */
  readonly onFault: (error: unknown) => void;
}

/**
 * Answers requests, DER in, DER out. Never throws. What is kept already comes at once, so that nobody waits for a promise.
 */
export type OcspResponder = (request: Uint8Array) => OcspAnswer | Promise<OcspAnswer>;

/** Answers that are kept: some 1 KiB each. */
const MOST_ANSWERS = 20_000;
/** Clocks of those who ask may be so far behind ours. */
const BACKDATE_MS = 60_000;
/** RFC 9654 §2.1: what must be taken. A nonce of another length is answered without one. */
const NONCE_LENGTH = { least: 16, most: 32 } as const;
/** What a serial number that was never issued is called (RFC 6960 §2.2): on hold since 1970. */
const NEVER_ISSUED: CertStatus = { status: 'revoked', revokedAt: 0, reason: CRL_REASON.certificateHold };

interface Asked {
  readonly authority: Authority;
  /** Tells apart the ways in which a request names an issuer. */
  readonly way: number;
}

interface Kept {
  readonly answer: Signed;
  /** From here on a new one is signed beside; from `end` on instead. */
  readonly renewAt: number;
  readonly end: number;
}

/**
 * The responder of RFC 6960 in the lightweight profile of RFC 9919: it answers for its own authorities only, each by a
 * delegated signer of that authority's. Answers without a nonce to a request for one certificate are kept until half of
 * their time is over or the ledger knows better, and what is asked for then is signed again before it is needed.
 */
export function createOcspResponder(options: OcspResponderOptions): OcspResponder {
  const { authorities, ledger, clock, onFault } = options;
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
  const cache = createAnswerCache<Kept>({
    ledger,
    most: MOST_ANSWERS,
    keysOf: ({ authority, serial }) => (waysOf.get(authority) ?? []).map((way) => cacheKey(way, serial)),
  });
  const sign = createAnswerSigner(options, cache);
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
      if (kept && now < kept.end) return kept.answer;
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
      if (!kept || now >= kept.end) return answerAnew(asked, request, key);
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

function isEchoed(nonce: Uint8Array | undefined): nonce is Uint8Array {
  return nonce !== undefined && nonce.length >= NONCE_LENGTH.least && nonce.length <= NONCE_LENGTH.most;
}

function cacheKey(way: number, serial: Uint8Array): string {
  return `${way}:${asBuffer(serial).toString('latin1')}`;
}

/** Others keep an answer for a quarter of its time at most, and get none of which less than that is left. */
function toKept(answer: Signed, now: number, { validityMs }: OcspPolicy): Kept {
  const life = Math.min(validityMs, answer.nextUpdate - now);
  return { answer, renewAt: now + life / 2, end: now + (life * 3) / 4 };
}

interface Made {
  readonly answer: Signed;
  /** Every certificate that was asked for was issued. */
  readonly isKnown: boolean;
}

function createAnswerSigner(
  { ledger, signerOf, policy, clock }: OcspResponderOptions,
  cache: AnswerCache<Kept>,
): (authority: Authority, request: OcspRequest) => Promise<Made> {
  return async (authority, { certIds, nonce }) => {
    const statuses = await ledger.findStatuses(
      authority.name,
      certIds.map(({ serial }) => serial),
    );
    const now = wholeSecond(clock());
    const signer = signerOf(authority.name);
    if (!signer || now >= signer.notAfter || now < signer.notBefore)
      throw new BirthmarkError('unavailable', `authority ${authority.name} has no OCSP signer now`);
    const said = statuses.map((status) => toCertStatus(status, policy));
    const thisUpdate = sinceWhen(said, now, cache.changedAt);
    const nextUpdate = Math.min(now + policy.validityMs, signer.notAfter);
    const isKnown = statuses.every(({ status }) => status !== 'unknown');
    const echo = isEchoed(nonce);
    const data = encodeResponseData({
      keyId: signer.keyId,
      producedAt: now,
      responses: certIds.map((certId: CertId, at) => ({
        certId: certId.raw,
        status: said[at] ?? NEVER_ISSUED,
        thisUpdate,
        nextUpdate,
        ...(statuses[at]?.status === 'unknown'
          ? {}
          : { archiveCutoff: authority.certificate.tbs.notBefore.at }),
      })),
      ...(echo ? { nonce } : {}),
      extendedRevoke: said.includes(NEVER_ISSUED),
    });
    const signature = await signer.signer.sign(data);
    const der = encodeOcspResponse(data, signer.signatureAlgorithm, signature, signer.certificate);
    const quarter = Math.floor((nextUpdate - now) / 4000);
    return {
      isKnown,
      answer: {
        kind: 'answer',
        der,
        thisUpdate,
        nextUpdate,
        digest: echo ? undefined : hash('sha256', der, 'hex'),
        maxAgeSeconds: echo ? 0 : Math.min(policy.maxAgeSeconds, quarter),
        isAlone: thisUpdate > wholeSecond(cache.changedAt),
      },
    };
  };
}

function toCertStatus(found: CertificateStatus, { neverIssued }: OcspPolicy): CertStatus {
  if (found.status === 'good') return { status: 'good' };
  if (found.status === 'unknown') return neverIssued === 'revoked' ? NEVER_ISSUED : { status: 'unknown' };
  const { held, reason, revokedAt } = found.revocation;
  if (held) return { status: 'revoked', revokedAt, reason: CRL_REASON.certificateHold };
  return { status: 'revoked', revokedAt, ...(reason === undefined ? {} : { reason: CRL_REASON[reason] }) };
}

/**
 * thisUpdate: a minute ago, for those whose clock is behind, but not before the last change of a status that we saw, so
 * that a later answer never looks like the earlier one, and not before the revocation that is told.
 */
function sinceWhen(said: readonly CertStatus[], now: number, changedAt: number): number {
  const times = said.map((status) => (status.status === 'revoked' ? status.revokedAt : 0));
  return Math.min(now, wholeSecond(Math.max(now - BACKDATE_MS, changedAt, ...times)));
}

function wholeSecond(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}
