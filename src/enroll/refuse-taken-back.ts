import type { RevocationReads } from '../ca/revocation/ports.ts';
import { BirthmarkError } from '../core/errors.ts';

/**
 * Refuses to hear a certificate that was taken back or is held.
 *
 * @throws BirthmarkError `certificate-revoked`, `certificate-held`
 */
export async function refuseTakenBack(
  reads: Pick<RevocationReads, 'findRevocations'>,
  certificateId: number,
): Promise<void> {
  const [revocation] = await reads.findRevocations([certificateId]);
  if (revocation) throw takenBackError(revocation.held);
}

export function takenBackError(held: boolean): BirthmarkError {
  return held
    ? new BirthmarkError('certificate-held', "the client's certificate is held; an operator must release it")
    : new BirthmarkError('certificate-revoked', "the client's certificate is revoked");
}
