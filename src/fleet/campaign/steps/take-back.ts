import { breathe } from '../../../core/breathe.ts';
import { settledState } from '../../life.ts';
import type { Quarantine } from '../../ports.ts';
import { planOf } from '../plan.ts';
import { type CampaignRecord, OPEN_STATES } from '../ports.ts';
import { type CampaignRoom, type CampaignTx, PIECE } from '../room.ts';
import { shutOutMembers } from './shut-out.ts';
import { actorOf, auditOf, certificatesOf, changeFor, stillIn } from './step.ts';

/**
 * Rolls back what can be: members that have not followed get their calls taken back and their holds released. What was revoked stays so,
 * and who has followed is left alone. A new credential that nobody has used is left to its rotation: its device may be about to use it,
 * and has the old one until it does.
 */
export async function takeBack(campaign: CampaignRecord, room: CampaignRoom): Promise<void> {
  const { ledger, clock } = room;
  for (;;) {
    const more = await ledger.write(async (tx) => {
      const ending = await stillIn(tx, campaign, 'ending');
      if (!ending) return false;
      const piece = (await tx.findMembersIn(campaign.id, OPEN_STATES, PIECE)).map(({ deviceId }) => deviceId);
      const now = clock();
      if (piece.length > 0) {
        await takeBackPiece(tx, campaign, piece, room);
        await tx.moveMembers(campaign.id, piece, { state: 'rolled-back', endedAt: now });
        return true;
      }
      await tx.moveCampaign(campaign.id, { state: 'rolled-back', endedAt: now });
      await tx.appendAudit([auditOf(campaign, now, 'campaign.rolled-back')]);
      return false;
    });
    if (!more) return;
    await breathe();
  }
}

async function takeBackPiece(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
  room: CampaignRoom,
): Promise<void> {
  const { old, held } = await certificatesOf(tx, campaign, deviceIds);
  await tx.dropRenewalCalls(
    old.map(({ id }) => id),
    actorOf(campaign),
  );
  const shutOut = await findShutOutByOthers(tx, campaign, deviceIds);
  // What became final meanwhile stays so, and a device that somebody else shut out meanwhile is his to release.
  const before = await tx.findRevocations(old.map(({ id }) => id));
  const releasable = old.filter(
    ({ id, deviceId }, at) => held.has(id) && before[at]?.held === true && !shutOut.has(deviceId),
  );
  await changeFor(tx, campaign, releasable, 'release', room);
  for (const { id, deviceId } of releasable)
    if (deviceId !== null) await tx.setHeldByCampaign(campaign.id, deviceId, id, false);
  for (const deviceId of deviceIds) await endQuarantine(tx, campaign, deviceId, room);
  await giveToOthers(tx, new Set(releasable.flatMap(({ deviceId }) => deviceId ?? [])), room);
}

/** What other campaigns that go on wanted held as well is held by them from now on. */
async function giveToOthers(tx: CampaignTx, freed: ReadonlySet<number>, room: CampaignRoom): Promise<void> {
  if (freed.size === 0) return;
  for (const other of await tx.findCampaignsIn(['running', 'paused'])) {
    if (planOf(other).access !== 'hold') continue;
    const members = await tx.findMembers(other.id, [...freed]);
    const theirs = members.flatMap((member) =>
      member?.access === 'held' && OPEN_STATES.some((state) => state === member.state)
        ? [member.deviceId]
        : [],
    );
    if (theirs.length > 0) await shutOutMembers(tx, other, theirs, room);
  }
}

/** Those of the devices that are in a quarantine which is not this campaign's: what it held is that one's now. */
async function findShutOutByOthers(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
): Promise<ReadonlySet<number | null>> {
  const found = new Set<number | null>();
  for (const deviceId of deviceIds) {
    const quarantine = await tx.findQuarantine(deviceId);
    if (quarantine && !isOwn(quarantine, campaign)) found.add(deviceId);
  }
  return found;
}

function isOwn({ cause, orderedBy }: Quarantine, campaign: CampaignRecord): boolean {
  return cause === 'campaign' && orderedBy === actorOf(campaign);
}

/** A quarantine that is this campaign's; others' stay. */
async function endQuarantine(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceId: number,
  { idevidProfiles, clock }: CampaignRoom,
): Promise<void> {
  const found = await tx.findQuarantine(deviceId);
  if (!found || !isOwn(found, campaign)) return;
  const [facts] = await tx.findLifeFacts([deviceId], idevidProfiles, clock());
  if (facts) await tx.endQuarantine(deviceId, settledState({ ...facts, state: 'manufactured' }));
}
