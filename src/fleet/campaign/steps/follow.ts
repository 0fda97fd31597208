import type { CertificateFacts } from '../../../ca/ports.ts';
import { breathe } from '../../../core/breathe.ts';
import { planOf } from '../plan.ts';
import { type CampaignRecord, OPEN_STATES } from '../ports.ts';
import { type CampaignRoom, type CampaignTx, PIECE } from '../room.ts';
import { finishOld } from './finish-old.ts';
import { stillIn } from './step.ts';
import { successorRule } from './successors.ts';
import { wantedProfiles } from './wanted-profiles.ts';

/** Slices of the ledger looked at in one call. */
const SLICES = 40;

/**
 * Finds out which members got a new credential, from the certificates that were issued since it was looked last: a campaign asks no
 * member one by one, so a tick costs what was issued meanwhile and nothing for those that stay away.
 *
 * @returns whether it was looked at all
 */
export async function follow(campaign: CampaignRecord, room: CampaignRoom): Promise<boolean> {
  const { ledger } = room;
  const plan = planOf(campaign);
  const counts = successorRule(plan, room);
  const end = await ledger.read.signedThrough();
  let after = campaign.followedThrough;
  for (let slice = 0; after < end; slice += 1) {
    if (slice === SLICES) return false;
    const from = after;
    const { items, through } = await ledger.read.findIssuedToMembers(campaign.id, from, end);
    const fresh = items.filter(counts);
    const mine = await ledger.write(async (tx) => {
      const now = await stillIn(tx, campaign, 'running', 'paused');
      // Somebody else looked meanwhile: the next tick sees where it is.
      if (now?.followedThrough !== from) return false;
      await noteRenewed(tx, campaign, fresh, room);
      await tx.moveCampaign(campaign.id, { followedThrough: through });
      return true;
    });
    if (!mine) return false;
    after = through;
    await breathe();
  }
  return true;
}

/** Keeps members' new credentials, and moves the members that have all that they need now. */
export async function noteRenewed(
  tx: CampaignTx,
  campaign: CampaignRecord,
  issued: readonly CertificateFacts[],
  room: CampaignRoom,
): Promise<void> {
  const found = await tx.findMembers(campaign.id, [...new Set(issued.map(({ deviceId }) => deviceId ?? 0))]);
  const open = found.flatMap((member) =>
    member && OPEN_STATES.some((state) => state === member.state) ? [member] : [],
  );
  if (open.length === 0) return;
  const { old, fresh } = await partsOf(
    tx,
    campaign,
    open.map(({ deviceId }) => deviceId),
  );
  const wanted = wantedProfiles(old, room.idevidProfiles);
  const fitting = issued.filter(wanted.fits);
  await tx.addCampaignCertificates(
    campaign.id,
    fitting.map(({ id, deviceId }) => ({ deviceId: deviceId ?? 0, certificateId: id, part: 'new' as const })),
  );
  const complete = wanted.complete([...fresh, ...fitting]);
  const first = open.flatMap(({ state, deviceId }) =>
    state !== 'renewed' && complete.has(deviceId) ? [deviceId] : [],
  );
  const byDevice = Map.groupBy(fitting, ({ deviceId }) => deviceId ?? 0);
  const byTime = Map.groupBy(first, (deviceId) => byDevice.get(deviceId)?.[0]?.reservedAt ?? room.clock());
  for (const [renewedAt, some] of byTime)
    await tx.moveMembers(campaign.id, some, { state: 'renewed', renewedAt });
  if (planOf(campaign).success === 'issued') await finishOld(tx, campaign, first, room);
}

/** What is replaced of these members, and what they got in its place. */
async function partsOf(tx: CampaignTx, { id }: CampaignRecord, deviceIds: readonly number[]) {
  const rows = await tx.findCampaignCertificates(id, deviceIds);
  const { old = [], new: fresh = [] } = Object.groupBy(rows, ({ part }) => part);
  return { old, fresh };
}

/** Finds out whose new credentials were used, and brings their part in the campaign to its end. */
export async function settle(campaign: CampaignRecord, room: CampaignRoom): Promise<void> {
  const { ledger } = room;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const { deviceIds, through } = await ledger.read.findUsedSuccessors(campaign.id, after);
    for (let at = 0; at < deviceIds.length; at += PIECE) {
      await ledger.write(async (tx) => {
        if (!(await stillIn(tx, campaign, 'running', 'paused'))) return;
        await finishUsed(tx, campaign, deviceIds.slice(at, at + PIECE), room);
      });
      await breathe();
    }
    after = through;
    await breathe();
  }
}

/** Brings those of these members to their end that are renewed, and all of whose new credentials were used. */
export async function finishUsed(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
  room: CampaignRoom,
): Promise<void> {
  const members = await tx.findMembers(campaign.id, deviceIds);
  const renewed = members.flatMap((member) => (member?.state === 'renewed' ? [member.deviceId] : []));
  if (renewed.length === 0) return;
  const { old, fresh } = await partsOf(tx, campaign, renewed);
  const sightings = await tx.findSightings(fresh.map(({ certificateId }) => certificateId));
  const used = wantedProfiles(old, room.idevidProfiles).complete(
    fresh.filter((_, at) => sightings[at] !== undefined),
  );
  await finishOld(tx, campaign, [...used], room);
}
