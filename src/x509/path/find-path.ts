import { equalBytes } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { issuerFault, malformed } from './check-path.ts';
import { exhaustedFault, signatureFault } from './check-signature.ts';
import type { WeakAllowance } from './key-strength.ts';
import type { Budget, PathLimits } from './limits.ts';
import type { PathCertificate } from './path-certificate.ts';
import type { Candidate, Trust } from './trust.ts';
import type { Fault } from './verdict.ts';

/** What path building has to work with. */
export interface Ground {
  readonly trust: Trust;
  /** Certificates that came with the leaf, by the `nameKey` of their subject. */
  readonly untrusted: ReadonlyMap<string, readonly Candidate[]>;
  readonly allowed: WeakAllowance;
  readonly limits: PathLimits;
  readonly budget: Budget;
  /** Milliseconds since the epoch: CAs that are valid then are tried first. */
  readonly at: number;
}

/** Until when a path is good, or what speaks against it. */
export type Judgement = { readonly until: number } | Fault;

export type Found =
  | { readonly path: readonly PathCertificate[]; readonly until: number }
  | { readonly fault: Fault; readonly path?: readonly PathCertificate[] };

/** How much a fault says: what was found at the end of a path is worth more than a turning that led nowhere. */
const RANK = { nowhere: 0, signature: 1, issuer: 2, path: 3, revoked: 4 } as const;

/**
 * Finds a path from a certificate to an anchor whose signatures are good and against which `judge` has nothing to say
 * (RFC 4158 §2: forward, depth first, with a way back). Key identifiers only decide what is tried first. Where no path
 * will do, the fault is that of the one that came furthest.
 */
export function findPath(
  leaf: PathCertificate,
  ground: Ground,
  judge: (path: readonly PathCertificate[]) => Judgement,
): Found {
  const { budget, limits } = ground;
  let rank: number = RANK.nowhere;
  let worst: (Found & { readonly fault: Fault }) | undefined;
  const note = (newRank: number, fault: Fault, path?: readonly PathCertificate[]) => {
    if (newRank <= rank) return;
    rank = newRank;
    worst = { fault, ...(path ? { path } : {}) };
  };

  const climb = (path: readonly PathCertificate[], depth: number): Found | undefined => {
    const child = path.at(-1) ?? leaf;
    for (const { certificate: issuer, anchor } of candidates(child, ground)) {
      if (!budget.step()) return undefined;
      if (!anchor && isLoop(path, issuer)) continue;
      const turning = turningFault(issuer, anchor, depth, path.length, limits);
      if (turning) {
        note(RANK.issuer, turning);
        continue;
      }
      const fault = signatureFault(child, issuer, ground.allowed, budget);
      if (budget.exhausted !== undefined) return undefined;
      if (fault) {
        note(fault.reason === 'weak' ? RANK.issuer : RANK.signature, fault);
        continue;
      }
      const longer = [...path, issuer];
      if (!anchor) {
        const found = climb(longer, issuer.selfIssued ? depth : depth + 1);
        if (found || budget.exhausted !== undefined) return found;
        continue;
      }
      if (!budget.path()) return undefined;
      const judgement = judge(longer);
      if ('until' in judgement) return { path: longer, until: judgement.until };
      const revoked = judgement.reason === 'revoked' || judgement.reason === 'onHold';
      note(revoked ? RANK.revoked : RANK.path, judgement, longer);
      if (budget.exhausted !== undefined) return undefined;
    }
    return undefined;
  };

  const found = climb([leaf], 0);
  if (found) return found;
  if (budget.exhausted !== undefined && rank < RANK.path) return { fault: exhaustedFault(budget) };
  return worst ?? { fault: { reason: 'untrusted', detail: `no CA that is known issued ${leaf.title}` } };
}

/** What rules a certificate out as an issuer before its signature is paid for. */
function turningFault(
  issuer: PathCertificate,
  anchor: boolean,
  depth: number,
  length: number,
  limits: PathLimits,
): Fault | undefined {
  if (!anchor && (length > limits.maxPathLength || depth + (issuer.selfIssued ? 0 : 1) > limits.maxDepth))
    return { reason: 'untrusted', detail: `no path was found with at most ${limits.maxDepth} intermediates` };
  const { rules } = issuer;
  return rules instanceof BirthmarkError ? malformed(issuer, rules) : issuerFault(issuer, rules);
}

/** RFC 4158 §2.4.2: a name with its key occurs once in a path. */
function isLoop(path: readonly PathCertificate[], issuer: PathCertificate): boolean {
  return path.some(
    (one) => equalBytes(one.tbs.spki, issuer.tbs.spki) && one.subjectKey === issuer.subjectKey,
  );
}

/** Certificates named like the issuer of another, the likeliest first. */
function candidates(child: PathCertificate, { trust, untrusted, at }: Ground): readonly Candidate[] {
  const known = trust.issuersOf(child);
  const all = untrusted.size === 0 ? known : [...known, ...(untrusted.get(child.issuerKey) ?? [])];
  if (all.length < 2) return all;
  const { rules } = child;
  const wanted = rules instanceof BirthmarkError ? undefined : rules.authorityKeyIdentifier;
  const unlikely = ({ certificate, anchor }: Candidate): number => {
    const other = wanted !== undefined && hasOtherKey(certificate, wanted) ? 4 : 0;
    const { notBefore, notAfter } = certificate.tbs;
    return other + (anchor ? 0 : 2) + (at < notBefore.at || at > notAfter.at ? 1 : 0);
  };
  return all
    .map((candidate) => ({ candidate, order: unlikely(candidate) }))
    .sort((a, b) => a.order - b.order)
    .map(({ candidate }) => candidate);
}

function hasOtherKey({ rules }: PathCertificate, wanted: Uint8Array): boolean {
  if (rules instanceof BirthmarkError || !rules.subjectKeyIdentifier) return false;
  return !equalBytes(rules.subjectKeyIdentifier, wanted);
}
