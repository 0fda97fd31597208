import { BirthmarkError } from '../../core/errors.ts';
import { type VerifyingAlgorithm, verifyWith, verifyWithLater } from '../algorithms.ts';
import { keyWeakness, NO_WEAKNESS, type WeakAllowance } from './key-strength.ts';
import type { Budget } from './limits.ts';
import type { PathCertificate } from './path-certificate.ts';
import type { Fault } from './verdict.ts';

/** Anything in the form of SIGNED{…} whose signature is to be checked. */
export interface SignedPart {
  readonly algorithm: VerifyingAlgorithm | undefined;
  readonly signedOctets: Uint8Array;
  readonly signature: Uint8Array;
  /** Results that are known already, and where a new one goes; absent for what is verified once. */
  readonly verifiedBy: WeakMap<object, boolean> | undefined;
  /** For people. */
  readonly title: string;
}

/**
 * What speaks against a signature under the key of an issuer, if anything (RFC 5280 §6.1.3 (a) (1)). Weak algorithms and
 * keys are refused before they are tried. A result is remembered for as long as both certificates live.
 */
export function signatureFault(
  part: SignedPart,
  issuer: PathCertificate,
  allowed: WeakAllowance,
  budget: Budget,
): Fault | undefined {
  const { algorithm } = part;
  const weak = weaknessFault(part, issuer, allowed);
  if (!algorithm || weak) return weak;
  const { strength } = issuer;
  let good = part.verifiedBy?.get(issuer);
  if (good === undefined) {
    if (strength.kind !== algorithm.keyKind) good = false;
    else {
      if (!budget.signatureCheck(strength.cost)) return exhaustedFault(budget);
      const { key } = issuer;
      if (key instanceof BirthmarkError) return { reason: 'weak', detail: `${issuer.title}: ${key.message}` };
      good = verifyWith(algorithm, key, part.signedOctets, part.signature);
    }
    part.verifiedBy?.set(issuer, good);
  }
  return good ? undefined : notSigned(part, issuer);
}

function weaknessFault(
  { algorithm, title }: SignedPart,
  issuer: PathCertificate,
  allowed: WeakAllowance,
): Fault | undefined {
  if (!algorithm)
    return {
      reason: 'weak',
      detail: `${title} is signed with an algorithm that is not taken (SHA-1, MD5, odd parameters)`,
    };
  const weak = algorithm.weak.find((name) => !allowed.algorithms.has(name));
  if (weak !== undefined) return { reason: 'weak', detail: `${title} is signed with ${weak}` };
  const weakness = keyWeakness(issuer.strength, allowed);
  return weakness === undefined ? undefined : { reason: 'weak', detail: `${issuer.title}: ${weakness}` };
}

/** The same for what is large: nothing weak is taken, and nobody waits for the hash. */
export async function signatureFaultLater(
  part: SignedPart,
  issuer: PathCertificate,
): Promise<Fault | undefined> {
  const { algorithm } = part;
  const weak = weaknessFault(part, issuer, NO_WEAKNESS);
  if (!algorithm || weak) return weak;
  const { key, strength } = issuer;
  if (key instanceof BirthmarkError) return { reason: 'weak', detail: `${issuer.title}: ${key.message}` };
  const good =
    strength.kind === algorithm.keyKind &&
    (await verifyWithLater(algorithm, key, part.signedOctets, part.signature));
  return good ? undefined : notSigned(part, issuer);
}

function notSigned(part: SignedPart, issuer: PathCertificate): Fault {
  return { reason: 'badSignature', detail: `${part.title} was not signed with the key of ${issuer.title}` };
}

/** What is said where the work that is allowed is done. */
export function exhaustedFault({ exhausted = 'work' }: Budget): Fault {
  return { reason: 'untrusted', detail: `no path was found within the limit of ${exhausted}` };
}
