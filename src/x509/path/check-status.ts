import { BirthmarkError } from '../../core/errors.ts';
import type { Crl, CrlEntry } from '../crl-reader.ts';
import { CRL_REASON, CRL_REASON_NAMES } from '../crl-reason.ts';
import { ALL_REASONS } from '../distribution-point.ts';
import { KEY_USAGE } from '../extensions.ts';
import { signatureFault } from './check-signature.ts';
import { ISSUER_AS_POINT, reasonsInScope } from './crl-scope.ts';
import type { Ground, Judgement } from './find-path.ts';
import type { PathCertificate } from './path-certificate.ts';
import type { Fault, StatusGap } from './verdict.ts';

/** Whose status is asked for. */
export type StatusScope = 'none' | 'leaf' | 'chain';

export interface StatusGround extends Ground {
  readonly crls: readonly Crl[];
  readonly status: StatusScope;
  /** Whether a CRL's signer that is not of the path itself has a path to the same anchor (RFC 5280 §6.3.3 (f)). */
  readonly signerHolds: (signer: PathCertificate, anchor: PathCertificate) => boolean;
}

/** How far in the future a CRL may claim to have been made: clocks differ. */
const SKEW_MS = 5 * 60_000;
const REMOVE_FROM_CRL = 8;

/**
 * Looks for the certificates of a path on the CRLs (RFC 5280 §6.3.3), after everything else held.
 *
 * @param path from the leaf to the anchor, whose own status nobody can give
 */
export function statusJudgement(path: readonly PathCertificate[], ground: StatusGround): Judgement {
  let until = Number.POSITIVE_INFINITY;
  let gap: Fault | undefined;
  const last = ground.status === 'none' ? 0 : ground.status === 'leaf' ? 1 : path.length - 1;
  for (let at = 0; at < last; at += 1) {
    const judgement = certificateStatus(path, at, ground);
    if ('until' in judgement) until = Math.min(until, judgement.until);
    // That one is revoked is worth knowing even where another's status is not known.
    else if (judgement.reason === 'statusUnknown') gap ??= judgement;
    else return judgement;
  }
  return gap ?? { until };
}

function certificateStatus(path: readonly PathCertificate[], at: number, ground: StatusGround): Judgement {
  const certificate = path[at];
  const rules = certificate?.rules;
  if (!certificate || !rules || rules instanceof BirthmarkError)
    return unknownStatus('unknown', 'it cannot be read');
  // RFC 9608 §4: the issuer says that it will never take it back.
  if (at === 0 && rules.noRevAvail) return { until: Number.POSITIVE_INFINITY };
  const { issuer, serial } = certificate.tbs;
  const { issuerKey } = certificate;
  const target = { ca: rules.ca, issuer, issuerKey };
  let missing = ALL_REASONS;
  let until = Number.POSITIVE_INFINITY;
  let gap: StatusGap = 'unknown';
  let why = 'no CRL speaks of it';
  for (const point of [...rules.crlDistributionPoints, ISSUER_AS_POINT]) {
    for (const crl of ground.crls) {
      if (crl.baseNumber !== undefined) continue;
      const reasons = reasonsInScope(crl, point, target) & missing;
      if (reasons === 0) continue;
      const use = useOf(crl, path, at, ground);
      if ('gap' in use) {
        if (gap === 'unknown') [gap, why] = [use.gap, use.why];
        continue;
      }
      const entry = use.find(issuerKey, serial);
      if (entry) return revokedFault(certificate.title, entry);
      missing &= ~reasons;
      until = Math.min(until, use.until);
    }
    if (missing === 0) return { until };
  }
  const what =
    missing === ALL_REASONS ? 'its status is not known' : 'no CRL covers all reasons for revocation';
  return unknownStatus(gap, `${certificate.title}: ${what} (${why})`);
}

type Use =
  | { readonly until: number; readonly find: Crl['find'] }
  | { readonly gap: StatusGap; readonly why: string };

/** A CRL with what a delta adds to it, where both may be used now (RFC 5280 §6.3.3 (c), (f) to (j)). */
function useOf(crl: Crl, path: readonly PathCertificate[], at: number, ground: StatusGround): Use {
  const now = ground.at;
  if (crl.unusable !== undefined) return { gap: 'unknown', why: `the CRL must not be used: ${crl.unusable}` };
  if (crl.thisUpdate > now + SKEW_MS) return { gap: 'unknown', why: 'the CRL is from the future' };
  const deltas = ground.crls.filter((delta) => isDeltaOf(delta, crl, now)).sort(byNumber);
  const current = crl.nextUpdate !== undefined && now <= crl.nextUpdate;
  if (!current && deltas.length === 0) return { gap: 'stale', why: 'the CRL is older than its nextUpdate' };
  const signer = signerOf(crl, path, at, ground);
  if (!signer) return { gap: 'unknown', why: 'the CRL has no valid signature of one who may sign it' };
  // (h): the delta is signed with the same key.
  const delta = deltas.find((one) => isSignedBy(one, signer, ground));
  if (!delta) {
    if (!current) return { gap: 'stale', why: 'the CRL is older than its nextUpdate' };
    return { until: crl.nextUpdate ?? now, find: crl.find };
  }
  return {
    // RFC 5280 §5.2.4: both together have the delta's dates.
    until: delta.nextUpdate ?? now,
    find: (issuerKey, serial) => {
      const entry = delta.find(issuerKey, serial) ?? crl.find(issuerKey, serial);
      return entry?.reason === REMOVE_FROM_CRL ? undefined : entry;
    },
  };
}

/** RFC 5280 §6.3.3 (c) and §5.2.4: same issuer, scope and key, and it starts from this CRL or one before it. */
function isDeltaOf(delta: Crl, crl: Crl, now: number): boolean {
  if (delta.baseNumber === undefined || delta.number === undefined || crl.number === undefined) return false;
  return (
    delta.unusable === undefined &&
    delta.issuerKey === crl.issuerKey &&
    delta.scope === crl.scope &&
    delta.authorityKeyIdentifier === crl.authorityKeyIdentifier &&
    crl.number >= delta.baseNumber &&
    crl.number < delta.number &&
    delta.thisUpdate <= now + SKEW_MS &&
    delta.nextUpdate !== undefined &&
    now <= delta.nextUpdate
  );
}

/** Newest first. */
function byNumber(a: Crl, b: Crl): number {
  const [one, other] = [a.number ?? 0n, b.number ?? 0n];
  return one === other ? 0 : one < other ? 1 : -1;
}

/** The certificate whose key signed the CRL: the path's own CA, or another under the CRL issuer's name. */
function signerOf(
  crl: Crl,
  path: readonly PathCertificate[],
  at: number,
  ground: StatusGround,
): PathCertificate | undefined {
  const { issuerKey } = crl;
  const anchor = path.at(-1);
  const above = path.slice(at + 1).filter(({ subjectKey }) => subjectKey === issuerKey);
  const signer = above.find((one) => isSignedBy(crl, one, ground));
  if (signer || !anchor) return signer;
  const named = [...ground.trust.named(issuerKey), ...(ground.untrusted.get(issuerKey) ?? [])];
  return named
    .map(({ certificate }) => certificate)
    .find((one) => !above.includes(one) && isSignedBy(crl, one, ground) && ground.signerHolds(one, anchor));
}

/** RFC 5280 §6.3.3 (f), (g); RFC 10007: keyUsage with cRLSign must be there. */
function isSignedBy(crl: Crl, signer: PathCertificate, { allowed, budget }: Ground): boolean {
  const { rules } = signer;
  if (rules instanceof BirthmarkError || !rules.keyUsage?.includes(KEY_USAGE.cRLSign)) return false;
  return signatureFault(crl, signer, allowed, budget) === undefined;
}

function revokedFault(title: string, { reason, revokedAt }: CrlEntry): Fault {
  const held = reason === CRL_REASON.certificateHold;
  const revocationReason = CRL_REASON_NAMES[reason] ?? 'unspecified';
  const since = new Date(revokedAt).toISOString().replace('.000Z', 'Z');
  return {
    reason: held ? 'onHold' : 'revoked',
    detail: `${title} ${held ? 'is on hold' : 'was revoked'} since ${since} (${revocationReason})`,
    revocationReason,
    revokedAt,
  };
}

function unknownStatus(gap: StatusGap, detail: string): Fault {
  return { reason: 'statusUnknown', gap, detail };
}
