import type { CertificateFacts } from '../../../ca/ports.ts';
import { publishTouchedCrls } from '../../../ca/publish-due-crls.ts';
import { breathe } from '../../../core/breathe.ts';
import type { StatusPlan } from '../../change-status.ts';
import { mayMove } from '../../life.ts';
import { planOf } from '../plan.ts';
import type { CampaignRecord } from '../ports.ts';
import { type CampaignRoom, type CampaignTx, PIECE } from '../room.ts';
import { findAhead } from './ahead.ts';
import { actorOf, certificatesOf, changeFor, stillIn } from './step.ts';
import { wantedProfiles } from './wanted-profiles.ts';

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
  if (planOf(campaign).access === 'keep') return 0;
  const { ledger, clock, crls } = room;
  let changed = 0;
  while ((await ledger.read.findAccessDue(campaign.id, 1)).length > 0) {
    const piece = await ledger.write(async (tx) => {
      if (!(await stillIn(tx, campaign, 'running', 'paused'))) return undefined;
      const due = (await tx.findAccessDue(campaign.id, PIECE)).map(({ deviceId }) => deviceId);
      if (due.length === 0) return undefined;
      const done = await shutOutMembers(tx, campaign, due, room);
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

/** Holds or revokes what these members have of what is replaced, within one unit of work. */
export async function shutOutMembers(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
  room: CampaignRoom,
): Promise<StatusPlan> {
  const access = planOf(campaign).access === 'hold' ? 'hold' : 'revoke';
  const { all, old } = await certificatesOf(tx, campaign, deviceIds);
  if (access === 'hold') await hold(tx, campaign, deviceIds, { all, old }, room);
  const done = await changeFor(tx, campaign, old, access, room);
  await tx.moveMembers(campaign.id, deviceIds, { access: access === 'hold' ? 'held' : 'revoked' });
  return done;
}

/**
 * Puts members whose credentials are held in quarantine, so that their state lets them come back by their IDevID with a new key, and
 * not by what is held. Who renewed since the plan was made has come back already, and goes on with what it got. Who is in
 * quarantine for a graver cause stays there.
 */
async function hold(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
  { all, old }: { readonly all: readonly CertificateFacts[]; readonly old: readonly CertificateFacts[] },
  room: CampaignRoom,
): Promise<void> {
  const ahead = wantedProfiles(old, room.idevidProfiles).complete(
    await findAhead(tx, campaign, { all, old }, room),
  );
  const revocations = await tx.findRevocations(old.map(({ id }) => id));
  const good = Map.groupBy(
    old.filter((_, at) => revocations[at] === undefined),
    ({ deviceId }) => deviceId,
  );
  for (const device of await tx.findDevicesById(deviceIds)) {
    const held = (device && good.get(device.id)?.map(({ id }) => id)) ?? [];
    if (!device || held.length === 0) continue;
    for (const id of held) await tx.setHeldByCampaign(campaign.id, device.id, id, true);
    if (ahead.has(device.id) || !mayMove(device.state, 'quarantined')) continue;
    const actor = actorOf(campaign);
    await tx.addQuarantine({
      deviceId: device.id,
      cause: 'campaign',
      since: room.clock(),
      orderedBy: actor,
      held,
    });
  }
}
