import { isDeepStrictEqual } from 'node:util';
import { breathe } from '../../core/breathe.ts';
import { findMembers } from './find-members.ts';
import { type CampaignRecord, OPEN_STATES } from './ports.ts';
import type { CampaignRoom } from './room.ts';
import { callWaves } from './steps/call-wave.ts';
import { countAway } from './steps/count-away.ts';
import { follow, settle } from './steps/follow.ts';
import { shutOut } from './steps/shut-out.ts';
import { auditOf, stillIn } from './steps/step.ts';
import { endStragglers } from './steps/stragglers.ts';
import { takeBack } from './steps/take-back.ts';

/**
 * Takes each campaign under way as far as it may go now. Nothing of a campaign lives in this process: each step reads the ledger,
 * moves rows in one transaction, and is safe to be done again, by whoever comes next, after a crash at any point.
 *
 * @returns whether members moved: then others may follow soon
 */
export async function advanceCampaigns(room: CampaignRoom): Promise<boolean> {
  const { ledger } = room;
  const under = await ledger.read.findCampaignsIn(['planning', 'running', 'paused', 'ending']);
  let moved = false;
  for (const campaign of under) {
    const before = await ledger.read.tallyCampaign(campaign.id);
    await advance(campaign, room);
    moved ||= !isDeepStrictEqual(before, await ledger.read.tallyCampaign(campaign.id));
    await breathe();
  }
  return moved;
}

/** How often the engine's beat is to be called. */
export const BEAT_MS = 100;
/** Campaigns whose members keep still are looked at every so many beats. */
const STILL_BEATS = 10;

/**
 * The engine's beat: advances campaigns at each while members move, so that a wave does not wait for the next look when the one before
 * it has followed, and now and then while they do not.
 */
export function campaignBeat(room: CampaignRoom): () => Promise<void> {
  let beat = 0;
  return async () => {
    beat = (beat + 1) % STILL_BEATS;
    if (beat === 0 && (await advanceCampaigns(room))) beat = STILL_BEATS - 1;
  };
}

async function advance(known: CampaignRecord, room: CampaignRoom): Promise<void> {
  const campaign = known.state === 'running' ? await countAway(known, room) : known;
  switch (campaign.state) {
    case 'planning':
      return planOn(campaign, room);
    case 'ending':
      return takeBack(campaign, room);
    case 'running':
      await shutOut(campaign, room);
      await follow(campaign, room);
      await settle(campaign, room);
      await endStragglers(campaign, room);
      await callWaves(campaign, room);
      return end(campaign, room);
    case 'paused':
      // What was decided at the start is not half done; whoever follows is noted. Nobody is called.
      await shutOut(campaign, room);
      await follow(campaign, room);
      return settle(campaign, room);
    default:
      return;
  }
}

async function planOn(campaign: CampaignRecord, room: CampaignRoom): Promise<void> {
  for (let now: CampaignRecord | undefined = campaign; now?.state === 'planning'; ) {
    await findMembers(now, room);
    await breathe();
    now = await room.ledger.read.findCampaign(campaign.name);
  }
}

/** A campaign is done when no member is to follow any more. */
async function end(campaign: CampaignRecord, { ledger, clock }: CampaignRoom): Promise<void> {
  const [open] = await ledger.read.findMembersIn(campaign.id, OPEN_STATES, 1);
  if (open) return;
  await ledger.write(async (tx) => {
    if (!(await stillIn(tx, campaign, 'running'))) return;
    if ((await tx.findMembersIn(campaign.id, OPEN_STATES, 1)).length > 0) return;
    const now = clock();
    const facts: Record<string, number> = {};
    for (const { state, members } of await tx.tallyCampaign(campaign.id))
      facts[state] = (facts[state] ?? 0) + members;
    await tx.moveCampaign(campaign.id, { state: 'done', endedAt: now });
    await tx.appendAudit([auditOf(campaign, now, 'campaign.done', facts)]);
  });
}
