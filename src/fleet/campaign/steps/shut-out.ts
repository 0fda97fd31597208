import { publishTouchedCrls } from '../../../ca/publish-due-crls.ts';
import { breathe } from '../../../core/breathe.ts';
import { planOf } from '../plan.ts';
import type { CampaignRecord } from '../ports.ts';
import { type CampaignRoom, PIECE } from '../room.ts';
import { certificatesOf, changeFor, stillIn } from './step.ts';

/**
 * Holds or revokes the old credentials of members at once, where the plan says so, and publishes the lists when all of it is done.
 * Each piece is whole; one that was cut short is done by whoever comes next.
 *
 * @param until milliseconds since the epoch, by the room's clock: what is left is left to the next call
 * @returns how many certificates were changed
 */
export async function shutOut(
  campaign: CampaignRecord,
  room: CampaignRoom,
  until = Number.POSITIVE_INFINITY,
): Promise<number> {
  const { access } = planOf(campaign);
  if (access === 'keep') return 0;
  const { ledger, clock, crls } = room;
  let changed = 0;
  while ((await ledger.read.findAccessDue(campaign.id, 1)).length > 0) {
    const piece = await ledger.write(async (tx) => {
      if (!(await stillIn(tx, campaign, 'running', 'paused'))) return undefined;
      const due = (await tx.findAccessDue(campaign.id, PIECE)).map(({ deviceId }) => deviceId);
      if (due.length === 0) return undefined;
      const { old } = await certificatesOf(tx, campaign, due);
      const done = await changeFor(tx, campaign, old, access, room);
      if (access === 'hold')
        for (const { certificate } of done.change)
          if (certificate.deviceId !== null)
            await tx.setHeldByCampaign(campaign.id, certificate.deviceId, certificate.id, true);
      await tx.moveMembers(campaign.id, due, { access: access === 'hold' ? 'held' : 'revoked' });
      return done.change.length;
    });
    if (piece === undefined) break;
    changed += piece;
    if (clock() > until) return changed;
    await breathe();
  }
  if (changed > 0) {
    try {
      await publishTouchedCrls({ places: 'all', changed }, crls, clock);
    } catch (error) {
      room.onUnpublished(error);
    }
  }
  return changed;
}
