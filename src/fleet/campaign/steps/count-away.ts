import { isMild, planOf } from '../plan.ts';
import type { CampaignMove, CampaignRecord } from '../ports.ts';
import type { CampaignRoom } from '../room.ts';
import { auditOf, stillIn } from './step.ts';

const MINUTE_MS = 60_000;
const NOTE_EVERY_MS = 10 * MINUTE_MS;
/** A restart is no matter for a deadline of days; a house that was down for longer could be asked by nobody. */
const AWAY_MS = 120 * MINUTE_MS;

/**
 * Notes now and then that the engine is there, and adds what it was away for to the deadline: nobody could follow meanwhile, and a
 * start must not take from healthy devices what they could not replace. Where the credentials are compromised the deadline stands.
 *
 * @returns the campaign as it is then
 */
export async function countAway(
  known: CampaignRecord,
  { ledger, clock }: CampaignRoom,
): Promise<CampaignRecord> {
  if (known.lookedAt !== undefined && clock() < known.lookedAt + NOTE_EVERY_MS) return known;
  return ledger.write(async (tx) => {
    const campaign = await stillIn(tx, known, 'running');
    if (!campaign) return known;
    const now = clock();
    const awayMs = now - (campaign.lookedAt ?? now);
    const wasAway = awayMs > AWAY_MS;
    const waits = wasAway && isMild(planOf(campaign).reason);
    const move: CampaignMove = {
      lookedAt: now,
      ...(waits && { pausedMs: campaign.pausedMs + awayMs }),
      // The gate of a wave is waited for anew, as after a pause.
      ...(wasAway && campaign.waveCalledAt !== undefined && { waveCalledAt: now }),
    };
    await tx.moveCampaign(campaign.id, move);
    if (wasAway) {
      const facts = { minutes: Math.round(awayMs / MINUTE_MS), deadlineWaits: waits };
      await tx.appendAudit([auditOf(campaign, now, 'campaign.away', facts)]);
    }
    return (await tx.findCampaign(campaign.name)) ?? campaign;
  });
}
