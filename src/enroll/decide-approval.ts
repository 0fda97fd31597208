import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { Actor } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { assertMayGive } from './admit.ts';
import type { ApprovalRecord, Ledger, Role } from './ports.ts';

const ACTIONS = { approved: 'enrollment.approve', denied: 'enrollment.deny' } as const;

/**
 * Gives a person's word on an enrollment that waits for it. Who may not give such a certificate has no say in it; an
 * administrator may deny what no profile is there for any more.
 *
 * @throws BirthmarkError `not-found`, `profile-not-allowed`, `profile-unknown`
 */
export function decideApproval(
  id: number,
  state: keyof typeof ACTIONS,
  { actor, role }: { readonly actor: Actor; readonly role: Role },
  { ledger, issuing, clock }: { ledger: Ledger; issuing: IssuingRoom; clock: Clock },
): Promise<ApprovalRecord> {
  const at = clock();
  return ledger.write(async (tx) => {
    const record = await tx.decideApproval(id, state, actor, at);
    if (!record) throw new BirthmarkError('not-found', `there is no enrollment ${id}`, { field: 'id' });
    if (state === 'approved' || role !== 'admin') assertMayGive(role, issuing.profile(record.profile));
    await tx.appendAudit([
      {
        at,
        actor,
        action: ACTIONS[state],
        subject: `device:${record.namespace}/${record.serialNumber}`,
        outcome: 'done',
        facts: { enrollment: id, profile: record.profile, keyHash: toHex(record.keyHash) },
      },
    ]);
    return record;
  });
}
