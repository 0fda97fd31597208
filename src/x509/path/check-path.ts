import { BirthmarkError } from '../../core/errors.ts';
import { EXTENDED_KEY_USAGE, KEY_USAGE } from '../extensions.ts';
import type { CertificateRules } from './certificate-rules.ts';
import type { Budget } from './limits.ts';
import { constraintBreach } from './name-constraints.ts';
import type { PathCertificate } from './path-certificate.ts';
import { type PolicyInputs, policiesHold } from './policy-graph.ts';
import type { Fault } from './verdict.ts';

export type Purpose = 'clientAuth' | 'serverAuth' | 'any';

/** Whose dates count: some makers' CAs end long before the devices that they vouched for (RFC 8995 §2.6.2). */
export type ValidityScope = 'all' | 'leaf' | 'none';

export interface PathRules {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly validity: ValidityScope;
  readonly purpose: Purpose;
  /** anyExtendedKeyUsage stands for nothing, and the leaf must name the purpose itself and be no CA. */
  readonly strictPurpose: boolean;
  readonly maxDepth: number;
  readonly policy: PolicyInputs;
}

/** A certificate of a path with its extensions, which are in order. */
interface Step {
  readonly certificate: PathCertificate;
  readonly rules: CertificateRules;
  readonly role: 'leaf' | 'intermediate' | 'anchor';
}

/** Other purposes that a leaf of strict purpose must not have beside it. */
const FOREIGN_PURPOSES: readonly string[] = [
  '1.3.6.1.5.5.7.3.3',
  '1.3.6.1.5.5.7.3.8',
  EXTENDED_KEY_USAGE.ocspSigning,
];

/**
 * What RFC 5280 §6.1 holds against a path whose signatures are good, if anything; revocation is not looked at. The anchor
 * is a name and a key (§6.1.1 (d)), but its certificate's own limits count: dates, cA, keyCertSign, pathLen, name
 * constraints, critical extensions. Its policies and purposes do not.
 *
 * @param path from the leaf to the anchor
 */
export function pathFault(
  path: readonly PathCertificate[],
  rules: PathRules,
  budget: Budget,
): Fault | undefined {
  const steps: Step[] = [];
  for (const [at, certificate] of path.entries()) {
    const read = certificate.rules;
    if (read instanceof BirthmarkError) return malformed(certificate, read);
    const role = at === 0 ? 'leaf' : at === path.length - 1 ? 'anchor' : 'intermediate';
    steps.push({ certificate, rules: read, role });
  }
  return (
    validityFault(steps, rules) ??
    authorityFault(steps, rules) ??
    purposeFault(steps, rules) ??
    nameFault(steps, budget) ??
    policyFault(steps, rules, budget)
  );
}

export function malformed({ title }: PathCertificate, error: BirthmarkError): Fault {
  return { reason: 'malformed', detail: `${title}: ${error.message}` };
}

/** RFC 5280 §6.1.3 (a) (2); both ends belong to the period (§4.1.2.5). */
function validityFault(steps: readonly Step[], { at, validity }: PathRules): Fault | undefined {
  if (validity === 'none') return undefined;
  for (const { certificate, role } of validity === 'all' ? steps : steps.slice(0, 1)) {
    const { notBefore, notAfter } = certificate.tbs;
    const say = (what: string, time: number) => `${role} ${certificate.title} ${what} ${toText(time)}`;
    if (at < notBefore.at) return { reason: 'notYetValid', detail: say('is not valid before', notBefore.at) };
    if (at > notAfter.at) return { reason: 'expired', detail: say('expired at', notAfter.at) };
  }
  return undefined;
}

/** RFC 5280 §6.1.4 (k) to (n): whoever issued is a CA, may sign certificates, and stands high enough. */
function authorityFault([, ...issuers]: readonly Step[], { maxDepth }: PathRules): Fault | undefined {
  // Intermediates below that are not self-issued: they count for pathLenConstraint (§4.2.1.9).
  let below = 0;
  for (const { certificate, rules, role } of issuers) {
    const fault = issuerFault(certificate, rules);
    if (fault) return fault;
    if (rules.pathLength !== undefined && below > rules.pathLength)
      return wrongUsage(
        certificate,
        `has ${below} CAs under it where its pathLenConstraint allows ${rules.pathLength}`,
      );
    if (role === 'intermediate' && !certificate.selfIssued) below += 1;
  }
  if (below <= maxDepth) return undefined;
  return { reason: 'untrusted', detail: `the path has ${below} intermediates where ${maxDepth} are allowed` };
}

/** Why a certificate cannot be any other's issuer, if it cannot. */
export function issuerFault(
  certificate: PathCertificate,
  { ca, keyUsage }: CertificateRules,
): Fault | undefined {
  if (!ca) return wrongUsage(certificate, 'is not a CA (RFC 5280 §4.2.1.9)');
  if (keyUsage && !keyUsage.includes(KEY_USAGE.keyCertSign))
    return wrongUsage(certificate, 'may not sign certificates: its keyUsage lacks keyCertSign');
  return undefined;
}

/**
 * RFC 5280 §4.2.1.12. That the purposes of a CA bound those of what is under it is not in there, and everyone does it.
 */
function purposeFault(steps: readonly Step[], { purpose, strictPurpose }: PathRules): Fault | undefined {
  if (purpose === 'any') return undefined;
  const wanted = EXTENDED_KEY_USAGE[purpose];
  for (const { certificate, rules, role } of steps) {
    if (role === 'anchor') continue;
    const { extendedKeyUsage, applicationPolicies, keyUsage, ca } = rules;
    if (!isFor(extendedKeyUsage, wanted, strictPurpose) || !isFor(applicationPolicies, wanted, strictPurpose))
      return wrongUsage(certificate, `(${role}) is not for ${purpose} (extKeyUsage)`);
    if (role !== 'leaf') continue;
    if (
      strictPurpose &&
      (ca || !extendedKeyUsage || FOREIGN_PURPOSES.some((one) => extendedKeyUsage.includes(one)))
    )
      return wrongUsage(
        certificate,
        `is a CA, names no purpose, or has one that does not go with ${purpose}`,
      );
    // RFC 8446 §4.4.2.4, RFC 5246 §7.4.8: a client always signs. A server may also decrypt or agree on a key.
    if (purpose === 'clientAuth' && keyUsage && !keyUsage.includes(KEY_USAGE.digitalSignature))
      return wrongUsage(certificate, 'may not sign: its keyUsage lacks digitalSignature');
  }
  return undefined;
}

function isFor(purposes: readonly string[] | undefined, wanted: string, strict: boolean): boolean {
  if (!purposes || purposes.includes(wanted)) return true;
  return !strict && purposes.includes(EXTENDED_KEY_USAGE.any);
}

/** RFC 5280 §6.1.3 (b), (c): every CA's constraints on every name below, but for self-issued certificates in between. */
function nameFault(steps: readonly Step[], budget: Budget): Fault | undefined {
  for (const [at, { rules, certificate: above }] of steps.entries()) {
    const { nameConstraints } = rules;
    if (!nameConstraints) continue;
    for (const { certificate, role } of steps.slice(0, at)) {
      if (role === 'intermediate' && certificate.selfIssued) continue;
      const breach = constraintBreach(certificate.names, nameConstraints, budget);
      if (breach === undefined) continue;
      return {
        reason: 'nameConstraint',
        detail: `${role} ${certificate.title} breaks the name constraints of ${above.title}: ${breach}`,
      };
    }
  }
  return undefined;
}

function policyFault(steps: readonly Step[], { policy }: PathRules, budget: Budget): Fault | undefined {
  const below = steps.slice(0, -1).reverse();
  // Without a certificate or a caller that asks for a policy, none is needed (RFC 5280 §6.1.5, last paragraph).
  const asked = below.some(({ rules }) => rules.requireExplicitPolicy !== undefined);
  if (!asked && !policy.initialExplicitPolicy) return undefined;
  const path = below.map(({ rules, certificate }) => ({ rules, selfIssued: certificate.selfIssued }));
  if (budget.policyGraph() && policiesHold(path, policy)) return undefined;
  return {
    reason: 'policy',
    detail: 'no certificate policy that is asked for holds along the path (RFC 5280 §6.1.5)',
  };
}

function wrongUsage({ title }: PathCertificate, what: string): Fault {
  return { reason: 'wrongUsage', detail: `${title} ${what}` };
}

function toText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
