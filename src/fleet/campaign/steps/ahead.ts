import type { CertificateRecord } from '../../../ca/ports.ts';
import { planOf } from '../plan.ts';
import type { CampaignRecord } from '../ports.ts';
import type { CampaignRoom, CampaignTx } from '../room.ts';
import { successorRule } from './successors.ts';

/**
 * The credentials of members that are newer than all that a campaign replaces, stand, and count: who has one renewed by itself,
 * and only has to be seen with it.
 *
 * @param members all that they have, and what of it is to be replaced, each oldest first
 */
export async function findAhead(
  tx: CampaignTx,
  campaign: CampaignRecord,
  { all, old }: { readonly all: readonly CertificateRecord[]; readonly old: readonly CertificateRecord[] },
  room: CampaignRoom,
): Promise<readonly CertificateRecord[]> {
  const now = room.clock();
  const counts = successorRule(planOf(campaign), room);
  const newest = new Map(old.map(({ deviceId, id }) => [deviceId, id]));
  const newer = all.filter(
    (one) => one.id > (newest.get(one.deviceId) ?? 0) && one.notAfter > now && counts(one),
  );
  const takenBack = await tx.findRevocations(newer.map(({ id }) => id));
  return newer.filter((_, at) => takenBack[at] === undefined);
}
