import type { Allowed, DenialReason, Denied } from '../decide.ts';
import type { EvidenceLevel } from '../evidence.ts';
import type { GateConnect } from '../gate.ts';
import type { Origin } from '../ports.ts';
import type { Session } from '../sessions.ts';

/** Who was let in. A name alone proves nothing: then only the address stands for what is done. */
export function originOfAllowed(
  { address, evidence }: Pick<GateConnect, 'address' | 'evidence'>,
  { identity, credential }: Pick<Allowed, 'identity' | 'credential'>,
): Origin {
  if (evidence.level !== 'certificate' || !credential) return { address };
  return { address, identity, credential: idOf(credential) };
}

/** Whose a live session is. */
export function originOfSession(session: Session, address: string): Origin {
  const [leaf] = session.credentials;
  return { address, session, ...(leaf && { identity: session.identity, credential: idOf(leaf) }) };
}

/** Who was denied. Whoever has the key of a certificate that was taken back must not get the device blocked that has another one by now. */
export function originOfDenied(
  { address, evidence }: Pick<GateConnect, 'address' | 'evidence'>,
  { reason, identity, credential }: Pick<Denied, 'reason' | 'identity' | 'credential'>,
): Origin {
  if (evidence.level !== 'certificate' || !credential) return { address };
  return { address, ...(identity && isOwnFault(reason) && { identity }), credential: idOf(credential) };
}

/** What a device did itself, with a certificate that is good. */
export function isOwnFault(reason: string): boolean {
  return OWN_FAULTS.includes(reason);
}

const OWN_FAULTS: readonly string[] = ['role', 'clientId', 'topicRules'] satisfies readonly DenialReason[];

/**
 * Whether a denial counts as a failure of who was denied. Not where the gate itself does not know enough, or is set up for
 * another listener; not where the device is connected already, which somebody may have brought about who used its name; and
 * not where it was restrained, since a block that its own denials prolong would never end.
 */
export function countsAsFailure(reason: string, evidence: EvidenceLevel): boolean {
  // A name that was taken back and is shown again is no guess, and what would be shut out is the address of others.
  if (evidence === 'name' && (reason === 'revoked' || reason === 'onHold')) return false;
  return !NOBODYS_FAULT.includes(reason);
}

const NOBODYS_FAULT: readonly string[] = [
  'statusUnknown',
  'listener',
  'exclusive',
  'blocked',
  'throttled',
] satisfies readonly DenialReason[];

function idOf({
  issuerKeyId,
  serial,
  keyHash,
}: NonNullable<Origin['credential']>): Origin['credential'] & object {
  return { issuerKeyId, serial, keyHash };
}
