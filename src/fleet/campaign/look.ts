import { planOf } from './plan.ts';
import type { CampaignFact, CampaignRecord, CampaignTally, MemberState } from './ports.ts';
import { measuredPace, measuredReaction, type Prediction, pastWaves, predict } from './predict.ts';
import { type CampaignRoom, ldevidProfiles } from './room.ts';
import { deadlineOf } from './steps/stragglers.ts';

/** How many of the largest profiles, batches, … are told by name. */
const NAMES = 20;
/** The latest certificates, among which are the renewals that the pace is measured from. */
const CERTIFICATES = 20_000;
/** Members of the last campaign, from whom waves and reactions are measured. */
const FOLLOWERS = 20_000;

/** Who would be hit: what a plan shows before anything is done. */
export interface BlastRadius {
  readonly devices: number;
  readonly certificates: number;
  readonly profiles: Readonly<Record<string, number>>;
  /** The largest, by devices; an empty name: devices without one. */
  readonly batches: Readonly<Record<string, number>>;
  readonly batchCount: number;
  /** Devices with an IDevID that stands, of ours or of their manufacturer: they come back even where their LDevID is taken at once. */
  readonly canRecover: number;
  /** Devices that need a person, where their credential is taken at once. */
  readonly cannotRecover: number;
  readonly neverSeen: number;
}

/** A campaign as people look at it. */
export interface CampaignLook {
  readonly campaign: CampaignRecord;
  readonly members: Readonly<Partial<Record<MemberState, number>>>;
  readonly waves: readonly CampaignTally[];
  readonly blastRadius: BlastRadius;
  /** Of a campaign that is to begin: of the whole; of one under way: of what is left. */
  readonly prediction?: Prediction;
  readonly deadlineAt?: number;
}

/** @param foretells whether how long it takes is worked out, which reads thousands of rows: not for each one of a list */
export async function lookAt(
  campaign: CampaignRecord,
  room: CampaignRoom,
  { foretells = true }: { readonly foretells?: boolean } = {},
): Promise<CampaignLook> {
  const { read } = room.ledger;
  const waves = await read.tallyCampaign(campaign.id);
  const members: Partial<Record<MemberState, number>> = {};
  for (const { state, members: count } of waves) members[state] = (members[state] ?? 0) + count;
  const deadlineAt = deadlineOf(campaign);
  const isOver = campaign.state === 'done' || campaign.state === 'rolled-back' || campaign.state === 'ending';
  const left = members.waiting ?? 0;
  return {
    campaign,
    members,
    waves,
    blastRadius: await blastRadius(campaign, room),
    ...(foretells && !isOver && { prediction: await predictFor(left, campaign, room) }),
    ...(deadlineAt !== undefined && { deadlineAt }),
  };
}

async function predictFor(
  members: number,
  campaign: CampaignRecord,
  room: CampaignRoom,
): Promise<Prediction> {
  const { read } = room.ledger;
  const followers = await read.latestFollowers(FOLLOWERS);
  const renewalsPerSecond = measuredPace(await read.latestRenewals(ldevidProfiles(room), CERTIFICATES));
  const { gatePercent } = planOf(campaign);
  // Until as many have followed as a gate asks for; without a gate nearly all.
  const percent = Math.min(95, gatePercent || 95);
  const reactionMs = measuredReaction(followers, percent, renewalsPerSecond);
  return predict(members, planOf(campaign), {
    ...(renewalsPerSecond !== undefined && { renewalsPerSecond }),
    ...(reactionMs !== undefined && { reactionMs }),
    waves: pastWaves(followers, percent),
  });
}

async function blastRadius({ id }: CampaignRecord, { ledger }: CampaignRoom): Promise<BlastRadius> {
  const facts = async (kind: CampaignFact['kind']) => {
    const found = await ledger.read.campaignFacts(id, kind, NAMES);
    return { ...found, counts: Object.fromEntries(found.facts.map(({ name, count }) => [name, count])) };
  };
  const [certificates, devices, profiles] = [
    await facts('certificate'),
    await facts('device'),
    await facts('profile'),
  ];
  const [batches, recovery, seen] = [await facts('batch'), await facts('recovery'), await facts('seen')];
  return {
    devices: devices.counts.all ?? 0,
    certificates: certificates.counts.all ?? 0,
    profiles: profiles.counts,
    batches: batches.counts,
    batchCount: batches.names,
    canRecover: (recovery.counts.idevid ?? 0) + (recovery.counts.manufacturer ?? 0),
    cannotRecover: recovery.counts.none ?? 0,
    neverSeen: seen.counts.never ?? 0,
  };
}
