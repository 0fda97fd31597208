import { publishTouchedCrls } from '../../../ca/publish-due-crls.ts';
import { breathe } from '../../../core/breathe.ts';
import { mayMove } from '../../life.ts';
import { quarantine } from '../../recovery/quarantine.ts';
import { planOf } from '../plan.ts';
import { type CampaignRecord, type MemberState, OPEN_STATES } from '../ports.ts';
import { type CampaignRoom, type CampaignTx, PIECE } from '../room.ts';
import { findAhead } from './ahead.ts';
import { finishUsed, noteRenewed } from './follow.ts';
import { actorOf, auditOf, certificatesOf, changeFor, stillIn } from './step.ts';

const ENDS = { leave: 'left', revoke: 'revoked', quarantine: 'quarantined' } as const satisfies Record<
  string,
  MemberState
>;

/** When a campaign's members must have followed; undefined where that is never. What it was paused for is added. */
export function deadlineOf(campaign: CampaignRecord): number | undefined {
  const { deadlineSeconds } = planOf(campaign);
  if (deadlineSeconds === 0 || campaign.startedAt === undefined) return undefined;
  return campaign.startedAt + deadlineSeconds * 1000 + campaign.pausedMs;
}

/** Does what the plan says to members that have not followed at the deadline. */
export async function endStragglers(campaign: CampaignRecord, room: CampaignRoom): Promise<void> {
  const { ledger, clock, crls } = room;
  const deadline = deadlineOf(campaign);
  if (deadline === undefined || clock() < deadline) return;
  const { stragglers } = planOf(campaign);
  let ended = 0;
  for (;;) {
    const piece = await ledger.write(async (tx) => {
      const running = await stillIn(tx, campaign, 'running');
      if (!running) return undefined;
      const open = (await tx.findMembersIn(campaign.id, OPEN_STATES, PIECE)).map(({ deviceId }) => deviceId);
      if (open.length === 0) return undefined;
      const late = await findLate(tx, campaign, open, room);
      if (late.length === 0) return 0;
      const now = clock();
      if (stragglers === 'revoke') {
        const { old } = await certificatesOf(tx, campaign, late);
        await changeFor(tx, campaign, old, 'revoke', room);
      }
      if (stragglers === 'quarantine') await quarantineAll(tx, campaign, late, room);
      await tx.moveMembers(campaign.id, late, { state: ENDS[stragglers], endedAt: now });
      await tx.appendAudit([
        auditOf(campaign, now, 'campaign.stragglers', { members: late.length, end: ENDS[stragglers] }),
      ]);
      return late.length;
    });
    if (piece === undefined) break;
    ended += piece;
    await breathe();
  }
  if (ended === 0 || stragglers === 'leave') return;
  try {
    await publishTouchedCrls({ places: 'all', changed: ended }, crls, clock);
  } catch (error) {
    room.onUnpublished(error);
  }
}

/**
 * Those of the members that have not followed. Each is looked at by itself here: what was issued since is gone through in order,
 * and that may be behind, by much where a signature is waited for.
 */
async function findLate(
  tx: CampaignTx,
  campaign: CampaignRecord,
  open: readonly number[],
  room: CampaignRoom,
): Promise<readonly number[]> {
  const ahead = await findAhead(tx, campaign, await certificatesOf(tx, campaign, open), room);
  await noteRenewed(tx, campaign, ahead, room);
  await finishUsed(tx, campaign, open, room);
  const now = await tx.findMembers(campaign.id, open);
  return now.flatMap((member) =>
    member && OPEN_STATES.some((state) => state === member.state) ? [member.deviceId] : [],
  );
}

/** Shuts devices out until a person lets them back: all that they have is held, their IDevIDs too. */
async function quarantineAll(
  tx: CampaignTx,
  campaign: CampaignRecord,
  deviceIds: readonly number[],
  room: CampaignRoom,
): Promise<void> {
  const byDevice = Map.groupBy(await tx.findFactsByDevices(deviceIds), ({ deviceId }) => deviceId);
  for (const device of await tx.findDevicesById(deviceIds)) {
    if (!device || (device.state !== 'quarantined' && !mayMove(device.state, 'quarantined'))) continue;
    const certificates = byDevice.get(device.id) ?? [];
    const found = await tx.findRevocations(certificates.map(({ id }) => id));
    await quarantine(
      tx,
      {
        device,
        certificates,
        revocations: new Map(found.flatMap((one) => (one ? [[one.id, one] as const] : []))),
        isIdevid: ({ profile }) => room.idevidProfiles.has(profile),
        actor: actorOf(campaign),
        now: room.clock(),
        change: async (some, { act }) => {
          const { change } = await changeFor(tx, campaign, some, act, room);
          return change.map(({ certificate }) => certificate);
        },
      },
      'operator',
    );
  }
}
