import { breathe } from '../../../core/breathe.ts';
import { gateCause } from '../moves.ts';
import { planOf } from '../plan.ts';
import type { CampaignMove, CampaignRecord, MemberRecord } from '../ports.ts';
import { sizeOfWave } from '../predict.ts';
import { type CampaignRoom, type CampaignTx, PIECE } from '../room.ts';
import { findAhead, placeOf } from './ahead.ts';
import { noteRenewed } from './follow.ts';
import { actorOf, auditOf, certificatesOf, stillIn } from './step.ts';

const MINUTE_MS = 60_000;
/** An engine that was away does not call at once all whom it would have called meanwhile. */
const BURST_MS = 10_000;

/** Calls as many members as size, rate and gate of the waves allow now, piece by piece. */
export async function callWaves(campaign: CampaignRecord, room: CampaignRoom): Promise<void> {
  while (await room.ledger.write((tx) => callPiece(tx, campaign, room))) await breathe();
}

/** Returns whether more may be called at once. */
async function callPiece(tx: CampaignTx, known: CampaignRecord, room: CampaignRoom): Promise<boolean> {
  const campaign = await stillIn(tx, known, 'running');
  if (!campaign) return false;
  const now = room.clock();
  const plan = planOf(campaign);
  const tallies = await tx.tallyCampaign(campaign.id);
  const waiting = tallies.find(({ state }) => state === 'waiting')?.members ?? 0;
  const isOver = campaign.waveCalled >= campaign.waveSize;
  if (isOver && campaign.wave > campaign.gatePassed) {
    const followed = tallies.find(
      ({ wave, state }) => wave === campaign.wave && state === 'replaced',
    )?.members;
    return passGate(tx, campaign, followed ?? 0, waiting, now);
  }
  if (waiting === 0) {
    // Those who were to fill the wave renewed by themselves before their turn.
    if (!isOver) await tx.moveCampaign(campaign.id, { waveSize: campaign.waveCalled, waveCalledAt: now });
    return !isOver;
  }
  const wave = isOver ? campaign.wave + 1 : campaign.wave;
  const size = isOver ? Math.min(waiting, sizeOfWave(plan, wave, waiting)) : campaign.waveSize;
  const called = isOver ? 0 : campaign.waveCalled;
  const credit = creditOf(campaign, plan.ratePerMinute, now);
  const most = Math.min(PIECE, size - called, credit.calls);
  if (most === 0) return false;
  const members = await tx.findMembersIn(campaign.id, ['waiting'], most);
  const told = await callMembers(tx, campaign, members, wave, room, now);
  const move: CampaignMove = {
    wave,
    waveSize: size,
    waveCalled: called + told,
    waveCalledAt: now,
    creditAt: credit.after(told),
  };
  await tx.moveCampaign(campaign.id, move);
  if (isOver) await tx.appendAudit([auditOf(campaign, now, 'campaign.wave', { wave, members: size })]);
  return credit.calls > told;
}

/** How many may be called now, and up to when the rate is used up then. */
function creditOf({ creditAt, startedAt = 0 }: CampaignRecord, ratePerMinute: number, now: number) {
  if (ratePerMinute === 0) return { calls: Number.POSITIVE_INFINITY, after: () => now };
  const eachMs = MINUTE_MS / ratePerMinute;
  const from = Math.max(creditAt ?? startedAt - eachMs, now - Math.max(BURST_MS, eachMs));
  return {
    calls: Math.floor((now - from) / eachMs + 1e-6),
    after: (called: number) => Math.round(from + called * eachMs),
  };
}

/** Whether the wave that was called to its end lets the next one begin; pauses the campaign where it did not in time. */
async function passGate(
  tx: CampaignTx,
  campaign: CampaignRecord,
  followed: number,
  waiting: number,
  now: number,
): Promise<boolean> {
  const { id, name, wave, waveSize, waveCalledAt = now } = campaign;
  const { gatePercent, gateWaitSeconds } = planOf(campaign);
  if (followed * 100 >= gatePercent * waveSize) {
    await tx.moveCampaign(id, { gatePassed: wave });
    return waiting > 0;
  }
  if (waiting === 0 || now < waveCalledAt + gateWaitSeconds * 1000) return false;
  const because = gateCause(wave, followed, waveSize, gatePercent);
  const facts = { wave, followed, members: waveSize, gatePercent };
  await tx.moveCampaign(id, { state: 'paused', pausedAt: now, pausedBecause: because });
  await tx.appendAudit([auditOf(campaign, now, 'campaign.pause', facts)]);
  await tx.appendIncidents([{ at: now, kind: 'campaign-gate', subject: `campaign:${name}`, facts }]);
  return false;
}

/** Calls these members for renewal. Who has a newer credential already is not called: it only has to be seen in use. */
async function callMembers(
  tx: CampaignTx,
  campaign: CampaignRecord,
  members: readonly MemberRecord[],
  wave: number,
  room: CampaignRoom,
  now: number,
): Promise<number> {
  const deviceIds = members.map(({ deviceId }) => deviceId);
  const { all, old } = await certificatesOf(tx, campaign, deviceIds);
  const standing = await findAhead(tx, campaign, { all, old }, room);
  await noteRenewed(tx, campaign, standing, room);
  const renewed = new Set(standing.map(placeOf));
  const called = (await tx.findMembers(campaign.id, deviceIds)).flatMap((member) =>
    member?.state === 'waiting' ? [member.deviceId] : [],
  );
  const isCalled = new Set<number | null>(called);
  const cause = actorOf(campaign);
  await tx.callRenewals(
    old.flatMap((one) =>
      isCalled.has(one.deviceId) && !renewed.has(placeOf(one)) && !room.idevidProfiles.has(one.profile)
        ? [{ certificateId: one.id, cause, at: now, calledAt: now, calledBy: campaign.startedBy ?? cause }]
        : [],
    ),
  );
  await tx.moveMembers(campaign.id, called, { state: 'called', wave, calledAt: now });
  return called.length;
}
