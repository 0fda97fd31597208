import { hash } from 'node:crypto';
import { asBuffer } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { CRL_REASON } from '../../x509/crl-reason.ts';
import type { CertIdHash } from '../../x509/ocsp-cert-id.ts';
import type { CertId, OcspRequest } from '../../x509/ocsp-request.ts';
import {
  type CertStatus,
  encodeOcspResponse,
  encodeResponseData,
  type OcspFailure,
} from '../../x509/ocsp-response.ts';
import type { Authorities, Authority } from '../authority.ts';
import type { CertificateStatus, RevocationReads } from '../revocation/ports.ts';
import type { AnswerCache } from './answer-cache.ts';
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

export type Signed = Extract<OcspAnswer, { kind: 'answer' }>;

export interface OcspResponderOptions {
  readonly authorities: Authorities;
  readonly ledger: RevocationReads;
  /** Who answers for an authority; undefined where nobody can now. */
  readonly signerOf: (authority: string) => ResponderSigner | undefined;
  readonly policy: OcspPolicy;
  readonly clock: Clock;
  /** Told of what is answered with tryLater and internalError. */
  readonly onFault: (error: unknown) => void;
  /** Counted up. */
  readonly tally: OcspTally;
}

/** What was asked for, so that an operator knows when a hash is asked for no more (RFC 9919 §3.2.1). */
export interface OcspTally {
  /** CertIDs of our authorities, by hash. */
  readonly certIds: Record<CertIdHash, number>;
  /** Answers that were kept already, and those that were signed for one request. */
  kept: number;
  signed: number;
  /** Answered with tryLater, since their source asked for too many signatures. */
  limited: number;
}

export function newOcspTally(): OcspTally {
  return { certIds: { sha1: 0, sha256: 0 }, kept: 0, signed: 0, limited: 0 };
}

/**
 * Of which use an answer is: to who asks alone (with a nonce, for several certificates, for what was never issued), or to
 * others too, since it is kept from then on.
 */
export type AnswerUse = 'alone' | 'shared';

/** Whether a signature may be made now for who asks: asked at most once a use for a request. */
export type MaySign = (use: AnswerUse) => boolean;

/** What is kept of a certificate: its status, and under other keys the answers that were signed. */
export type Entry = { readonly kind: 'status'; readonly found: CertificateStatus } | Kept;

export interface Kept {
  readonly kind: 'answer';
  readonly answer: Signed;
  /** From here on a new one is signed beside; from `end` on instead. */
  readonly renewAt: number;
  readonly end: number;
}

/** Clocks of those who ask may be so far behind ours. */
const BACKDATE_MS = 60_000;
/** RFC 9654 §2.1: what must be taken. A nonce of another length is answered without one. */
const NONCE_LENGTH = { least: 16, most: 32 } as const;
/** What a serial number that was never issued is called (RFC 6960 §2.2): on hold since 1970. */
const NEVER_ISSUED: CertStatus = { status: 'revoked', revokedAt: 0, reason: CRL_REASON.certificateHold };

interface Made {
  readonly answer: Signed;
  /** Every certificate that was asked for was issued. */
  readonly isKnown: boolean;
}

/**
 * Signs an answer to a request whose certificates are all of one authority. Throws where it cannot. Undefined where `maySign`
 * says no: where that is known from the request, before the ledger is asked and anything else that is kept leaves for it.
 */
export function createAnswerSigner(
  { ledger, signerOf, policy, clock }: OcspResponderOptions,
  cache: AnswerCache<Entry>,
): (authority: Authority, request: OcspRequest, maySign: MaySign) => Promise<Made | undefined> {
  const findStatuses = async (
    authority: string,
    certIds: readonly CertId[],
    key: string | undefined,
  ): Promise<readonly CertificateStatus[]> => {
    const { generation } = cache;
    const found = await ledger.findStatuses(
      authority,
      certIds.map(({ serial }) => serial),
    );
    const [first] = found;
    // A serial number that is unknown may be issued in the next moment, of which no status change tells.
    if (key !== undefined && first && first.status !== 'unknown')
      cache.put(key, { kind: 'status', found: first }, generation);
    return found;
  };
  return async (authority, { certIds, nonce }, maySign) => {
    const [only, ...more] = certIds;
    const echo = isEchoed(nonce);
    const use: AnswerUse = echo || more.length > 0 ? 'alone' : 'shared';
    if (!maySign(use)) return undefined;
    const key = only && more.length === 0 ? cacheKey(authority.name, only.serial) : undefined;
    const kept = key === undefined ? undefined : cache.get(key);
    const statuses =
      kept?.kind === 'status' ? [kept.found] : await findStatuses(authority.name, certIds, key);
    const isKnown = statuses.every(({ status }) => status !== 'unknown');
    if (use === 'shared' && !isKnown && !maySign('alone')) return undefined;
    const now = wholeSecond(clock());
    const signer = signerOf(authority.name);
    if (!signer || now >= signer.notAfter || now < signer.notBefore)
      throw new BirthmarkError('unavailable', `authority ${authority.name} has no OCSP signer now`);
    const said = statuses.map((status) => toCertStatus(status, policy));
    const thisUpdate = sinceWhen(said, now, cache.changedAt);
    const nextUpdate = Math.min(now + policy.validityMs, signer.notAfter);
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

/** RFC 9654 §2.1: a nonce of another length is answered without one. */
export function isEchoed(nonce: Uint8Array | undefined): nonce is Uint8Array {
  return nonce !== undefined && nonce.length >= NONCE_LENGTH.least && nonce.length <= NONCE_LENGTH.most;
}

/** @param about the authority's name for a status, the way in which a request names it for an answer */
export function cacheKey(about: string | number, serial: Uint8Array): string {
  return `${about}:${asBuffer(serial).toString('latin1')}`;
}
