import { planOf } from '../plan.ts';
import type { CampaignRecord } from '../ports.ts';
import type { CampaignRoom, CampaignTx } from '../room.ts';
import { certificatesOf, changeFor } from './step.ts';

/**
 * Brings members that have followed to their end, within one unit of work. What they had before is taken back for the campaign's
 * reason where it was shut out already, or where that reason says more than that it was replaced; otherwise its rotation retires
 * it after the grace, as any other.
 */
export async function finishOld(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
  room: CampaignRoom,
): Promise<void> {
  if (deviceIds.length === 0) return;
  const { access, reason, success } = planOf(campaign);
  if (access !== 'keep' || (reason !== 'superseded' && success === 'used')) {
    const { old } = await certificatesOf(tx, campaign, deviceIds);
    await changeFor(tx, campaign, old, 'revoke', room);
  }
  await tx.moveMembers(campaign.id, deviceIds, { state: 'replaced', endedAt: room.clock() });
}
