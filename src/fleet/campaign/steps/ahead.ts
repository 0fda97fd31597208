import type { CertificateFacts } from '../../../ca/ports.ts';
import { planOf } from '../plan.ts';
import type { CampaignRecord } from '../ports.ts';
import type { CampaignRoom, CampaignTx } from '../room.ts';
import { successorRule } from './successors.ts';
import { wantedProfiles } from './wanted-profiles.ts';

/**
 * The credentials of members that are newer than what a campaign replaces in their place, stand, and count: who has all that it needs
 * renewed by itself, and only has to be seen with it.
 *
 * @param members all that they have, and what of it is to be replaced, each oldest first
 */
export async function findAhead(
  tx: CampaignTx,
  campaign: CampaignRecord,
  { all, old }: { readonly all: readonly CertificateFacts[]; readonly old: readonly CertificateFacts[] },
  room: CampaignRoom,
): Promise<readonly CertificateFacts[]> {
  const now = room.clock();
  const counts = successorRule(planOf(campaign), room);
  const { fits } = wantedProfiles(old, room.idevidProfiles);
  const newest = new Map<string | number | null, number>();
  for (const one of old) {
    newest.set(one.deviceId, one.id);
    newest.set(placeOf(one), one.id);
  }
  const candidates = all.filter(
    (one) =>
      fits(one) && one.id > (newest.get(placeOf(one)) ?? newest.get(one.deviceId) ?? 0) && one.notAfter > now,
  );
  if (candidates.length === 0) return [];
  // Few: who was not called seldom has one.
  const counting = await tx.findByDevices(candidates.flatMap(({ deviceId }) => deviceId ?? []));
  const good = new Set(counting.filter(counts).map(({ id }) => id));
  const newer = candidates.filter(({ id }) => good.has(id));
  const takenBack = await tx.findRevocations(newer.map(({ id }) => id));
  return newer.filter((_, at) => takenBack[at] === undefined);
}

/** A device has one credential of a profile, one after the other. */
export function placeOf({ deviceId, profile }: Pick<CertificateFacts, 'deviceId' | 'profile'>): string {
  return `${deviceId}/${profile}`;
}
