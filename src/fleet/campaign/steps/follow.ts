import { breathe } from '../../../core/breathe.ts';
import { planOf } from '../plan.ts';
import { type CampaignRecord, OPEN_STATES } from '../ports.ts';
import { type CampaignRoom, type CampaignTx, PIECE } from '../room.ts';
import { finishOld } from './finish-old.ts';
import { stillIn } from './step.ts';
import { successorRule } from './successors.ts';

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

/** Keeps members' new credentials, and moves the members that had none. */
export async function noteRenewed(
  tx: CampaignTx,
  campaign: CampaignRecord,
  fresh: readonly { readonly id: number; readonly deviceId: number | null; readonly reservedAt: number }[],
  room: CampaignRoom,
): Promise<void> {
  const byDevice = Map.groupBy(fresh, ({ deviceId }) => deviceId ?? 0);
  const members = await tx.findMembers(campaign.id, [...byDevice.keys()]);
  const open = members.flatMap((member) =>
    member && OPEN_STATES.some((state) => state === member.state) ? [member] : [],
  );
  await tx.addCampaignCertificates(
    campaign.id,
    open.flatMap(({ deviceId }) =>
      (byDevice.get(deviceId) ?? []).map(({ id }) => ({ deviceId, certificateId: id, part: 'new' as const })),
    ),
  );
  const first = open.filter(({ state }) => state !== 'renewed').map(({ deviceId }) => deviceId);
  const byTime = Map.groupBy(first, (deviceId) => byDevice.get(deviceId)?.[0]?.reservedAt ?? room.clock());
  for (const [renewedAt, some] of byTime)
    await tx.moveMembers(campaign.id, some, { state: 'renewed', renewedAt });
  if (planOf(campaign).success === 'issued') await finishOld(tx, campaign, first, room);
}

/** Finds out whose new credential was used, and brings their part in the campaign to its end. */
export async function settle(campaign: CampaignRecord, room: CampaignRoom): Promise<void> {
  const { ledger } = room;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const { deviceIds, through } = await ledger.read.findUsedSuccessors(campaign.id, after);
    for (let at = 0; at < deviceIds.length; at += PIECE) {
      await ledger.write(async (tx) => {
        if (!(await stillIn(tx, campaign, 'running', 'paused'))) return;
        const piece = await tx.findMembers(campaign.id, deviceIds.slice(at, at + PIECE));
        const renewed = piece.flatMap((member) => (member?.state === 'renewed' ? [member.deviceId] : []));
        await finishOld(tx, campaign, renewed, room);
      });
      await breathe();
    }
    after = through;
    await breathe();
  }
}
