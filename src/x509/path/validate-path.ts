import { BirthmarkError } from '../../core/errors.ts';
import type { Crl } from '../crl-reader.ts';
import { malformed, type PathRules, type Purpose, pathFault, type ValidityScope } from './check-path.ts';
import { type StatusGround, type StatusScope, statusJudgement } from './check-status.ts';
import { findPath, type Judgement } from './find-path.ts';
import { keyWeakness, NO_WEAKNESS, type WeakAllowance } from './key-strength.ts';
import { Budget, DEFAULT_LIMITS, type PathLimits } from './limits.ts';
import { PathCertificate } from './path-certificate.ts';
import { type PeerName, peerNameFault } from './peer-name.ts';
import { ANY_POLICY_INPUTS, type PolicyInputs } from './policy-graph.ts';
import type { Candidate, Trust } from './trust.ts';
import type { Fault, Refused, Verdict } from './verdict.ts';

/** All that a verdict depends on beside the leaf: nothing is taken from anywhere else. */
export interface PathInput {
  readonly trust: Trust;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly purpose: Purpose;
  /** DER of certificates that came with the leaf, in any order; what cannot be read is passed over. */
  readonly untrusted?: readonly Uint8Array[];
  /** Whose status must be good; `none` where this is absent. */
  readonly status?: StatusScope;
  readonly crls?: readonly Crl[];
  readonly validity?: ValidityScope;
  readonly strictPurpose?: boolean;
  readonly policy?: PolicyInputs;
  /** The name that the leaf must have. */
  readonly peer?: PeerName;
  readonly allowWeak?: WeakAllowance;
  /**
   * The peer has just proved that it holds the leaf's key, in a handshake or a signed request, so that the key is known
   * to be one; else it is imported to see that, which costs as much as half a signature check.
   */
  readonly possessionProven?: boolean;
  /**
   * DER of a known certificate under whose key the leaf's signature is known to verify, to the octet: it is not verified
   * again. All else is looked at. What the trust does not know has no effect.
   */
  readonly signedUnder?: Uint8Array;
  readonly limits?: Partial<PathLimits>;
  /** Told what was spent, for tests and benches. */
  readonly onSpent?: (spent: ReturnType<Budget['spent']>) => void;
}

/** A signer of CRLs may itself stand on CRLs of a signer of CRLs, and so on: so far and no further. */
const MAX_SIGNER_DEPTH = 3;

/**
 * Judges a certificate (RFC 5280 §6, with RFC 6818, 9549, 9608, 9618 and 10007). In this order: structure, path and
 * signatures, time, usage, names, policies; then, and only then, revocation. Never throws for what the octets are: a leaf
 * that cannot be read is `malformed`.
 *
 * @param leafDer DER of the certificate
 */
export function validatePath(leafDer: Uint8Array, input: PathInput): Verdict {
  const limits = { ...DEFAULT_LIMITS, ...input.limits };
  const budget = new Budget(limits);
  try {
    return judge(leafDer, input, limits, budget);
  } finally {
    input.onSpent?.(budget.spent(limits));
  }
}

function judge(leafDer: Uint8Array, input: PathInput, limits: PathLimits, budget: Budget): Verdict {
  const { trust, at, purpose, status = 'none', validity = 'all', strictPurpose = false } = input;
  const allowed = input.allowWeak ?? NO_WEAKNESS;
  const leaf = readLeaf(leafDer, input, allowed);
  if (!(leaf instanceof PathCertificate)) return leaf;
  const untrusted = gather(input.untrusted ?? [], trust, limits);
  if (!untrusted)
    return {
      reason: 'malformed',
      detail: `more than ${limits.maxUntrustedOctets} octets came with the certificate`,
    };
  const policy = input.policy ?? ANY_POLICY_INPUTS;
  const rules: PathRules = { at, validity, purpose, strictPurpose, maxDepth: limits.maxDepth, policy };
  // The newest list first: what an older one of the same scope says is history.
  const crls = [...(input.crls ?? [])].sort((a, b) => b.thisUpdate - a.thisUpdate);
  const ground = { trust, untrusted, allowed, limits, budget, at, crls, status };
  const found = findPath(leaf, ground, (path) => {
    const fault = pathFault(path, rules, budget) ?? peerNameFault(leaf, input.peer);
    return fault ?? withEnd(path, validity, statusJudgement(path, signerGround(ground, rules, [leaf])));
  });
  const path = found.path?.map(({ raw }) => raw);
  if ('fault' in found) return path ? { ...found.fault, path } : found.fault;
  const anchor = found.path.at(-1) ?? leaf;
  const { rules: leafRules } = leaf;
  if (leafRules instanceof BirthmarkError) return malformed(leaf, leafRules);
  return {
    reason: 'ok',
    detail: `its path ends at ${anchor.title}`,
    path: path ?? [],
    leaf: leaf.tbs,
    leafRules,
    lookAgainAt: found.until,
  };
}

function readLeaf(
  der: Uint8Array,
  { trust, possessionProven = false, signedUnder }: PathInput,
  allowed: WeakAllowance,
): PathCertificate | Refused {
  let leaf: PathCertificate;
  try {
    const signer = signedUnder && trust.known(signedUnder);
    leaf = new PathCertificate(der, { knowsName: trust.knowsName, ...(signer && { signer }) });
  } catch (error) {
    if (error instanceof BirthmarkError) return { reason: 'malformed', detail: error.message };
    throw error;
  }
  if (leaf.rules instanceof BirthmarkError) return malformed(leaf, leaf.rules);
  const weakness = keyWeakness(leaf.strength, allowed);
  if (weakness !== undefined) return { reason: 'weak', detail: `${leaf.title}: ${weakness}` };
  if (!possessionProven && leaf.strength.kind !== 'dsa' && leaf.key instanceof BirthmarkError)
    return { reason: 'weak', detail: `${leaf.title}: ${leaf.key.message}` };
  return leaf;
}

/** Untrusted certificates by the name of their subject, without those that are known; undefined where there is too much. */
function gather(
  ders: readonly Uint8Array[],
  trust: Trust,
  { maxUntrustedOctets }: PathLimits,
): ReadonlyMap<string, readonly Candidate[]> | undefined {
  const bySubject = new Map<string, Candidate[]>();
  let octets = 0;
  for (const der of ders) {
    octets += der.length;
    if (octets > maxUntrustedOctets) return undefined;
    if (trust.known(der)) continue;
    try {
      const certificate = new PathCertificate(der);
      const { subjectKey } = certificate;
      const before = bySubject.get(subjectKey);
      if (before) before.push({ certificate, anchor: false });
      else bySubject.set(subjectKey, [{ certificate, anchor: false }]);
    } catch (error) {
      // What nobody can read leads nowhere, and must not keep a path from being found without it.
      if (!(error instanceof BirthmarkError)) throw error;
    }
  }
  return bySubject;
}

/** The end of the earliest certificate or status. */
function withEnd(path: readonly PathCertificate[], validity: ValidityScope, judgement: Judgement): Judgement {
  if (!('until' in judgement)) return judgement;
  let { until } = judgement;
  const counted = validity === 'all' ? path.length : validity === 'leaf' ? 1 : 0;
  for (let at = 0; at < counted; at += 1) until = Math.min(until, path[at]?.tbs.notAfter.at ?? until);
  return { until };
}

/**
 * How a CRL's signer is judged that is not of the path: a path to the same anchor, for any purpose, and, where the whole
 * chain's status counts, a status of its own (RFC 5280 §6.3.3 (f)).
 *
 * @param asking certificates whose status is being looked for: none of them can vouch for itself
 */
function signerGround(
  ground: Omit<StatusGround, 'signerHolds'>,
  rules: PathRules,
  asking: readonly PathCertificate[],
): StatusGround {
  return {
    ...ground,
    signerHolds: (signer, anchor) => {
      if (signer === anchor) return true;
      if (asking.includes(signer) || asking.length > MAX_SIGNER_DEPTH) return false;
      const signerRules: PathRules = { ...rules, purpose: 'any', strictPurpose: false };
      const found = findPath(signer, ground, (path) => {
        if (path.at(-1) !== anchor) return otherAnchor(signer);
        const fault = pathFault(path, signerRules, ground.budget);
        if (fault || ground.status !== 'chain') return fault ?? { until: Number.POSITIVE_INFINITY };
        return statusJudgement(path, signerGround(ground, rules, [...asking, signer]));
      });
      return 'until' in found;
    },
  };
}

function otherAnchor({ title }: PathCertificate): Fault {
  return { reason: 'untrusted', detail: `${title} stands under another anchor` };
}
