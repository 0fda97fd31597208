import type { CertificateFacts } from '../../../ca/ports.ts';
import type { AuditRecord } from '../../../core/audit.ts';
import type { StatusOrder, StatusPlan } from '../../change-status.ts';
import { changeStatuses } from '../../change-status.ts';
import { planOf } from '../plan.ts';
import type { CampaignRecord, CampaignState } from '../ports.ts';
import type { CampaignRoom, CampaignTx } from '../room.ts';

/** The campaign as it is within this unit of work; undefined where it is not in one of these states any more. */
export async function stillIn(
  tx: CampaignTx,
  { id, name }: CampaignRecord,
  ...states: readonly CampaignState[]
): Promise<CampaignRecord | undefined> {
  const now = await tx.findCampaign(name);
  return now?.id === id && states.includes(now.state) ? now : undefined;
}

/** The certificates of these members that a campaign is about: what it replaces, and what they got in its place. */
export async function certificatesOf(
  tx: CampaignTx,
  { id }: CampaignRecord,
  deviceIds: readonly number[],
): Promise<{
  readonly all: readonly CertificateFacts[];
  readonly old: readonly CertificateFacts[];
  readonly fresh: readonly CertificateFacts[];
  /** Rows of those that this campaign holds. */
  readonly held: ReadonlySet<number>;
}> {
  const rows = await tx.findCampaignCertificates(id, deviceIds);
  const all = await tx.findFactsByDevices(deviceIds);
  const of = (part: 'old' | 'new') =>
    new Set(rows.filter((row) => row.part === part).map(({ certificateId }) => certificateId));
  const [old, fresh] = [of('old'), of('new')];
  return {
    all,
    old: all.filter((certificate) => old.has(certificate.id)),
    fresh: all.filter((certificate) => fresh.has(certificate.id)),
    held: new Set(rows.filter(({ held }) => held).map(({ certificateId }) => certificateId)),
  };
}

/** Who does what the engine does. */
export function actorOf({ name }: CampaignRecord): string {
  return `campaign:${name}`;
}

/** Takes certificates back, or gives them free, for a campaign. It was decided when the campaign was started. */
export function changeFor(
  tx: CampaignTx,
  campaign: CampaignRecord,
  certificates: Parameters<typeof changeStatuses>[1],
  act: StatusOrder['act'],
  { idevidProfiles, clock }: CampaignRoom,
  reason: StatusOrder['reason'] = act === 'revoke' ? planOf(campaign).reason : undefined,
): Promise<StatusPlan> {
  const now = clock();
  const decidedAt = Math.min(now, campaign.startedAt ?? now);
  const order: StatusOrder = { act, discoveredAt: decidedAt, decidedAt, ...(reason && { reason }) };
  const actor = actorOf(campaign);
  return changeStatuses(tx, certificates, order, idevidProfiles, { actor, by: actor, now });
}

export function auditOf(
  campaign: CampaignRecord,
  now: number,
  action: string,
  facts: AuditRecord['facts'] = {},
): AuditRecord {
  return {
    at: now,
    actor: actorOf(campaign),
    action,
    subject: `campaign:${campaign.name}`,
    outcome: 'done',
    facts,
  };
}
