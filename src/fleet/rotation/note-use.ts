import type { Actor } from '../../core/audit.ts';
import type { FleetReads, FleetTx } from '../ports.ts';
import { settleDevices } from '../settle-devices.ts';
import { planUses, type Use, type UseNews } from './plan-uses.ts';
import { raiseConflicts } from './raise-conflict.ts';
import type { RotationPolicy } from './settings.ts';

export interface UseNoterOptions {
  readonly policy: RotationPolicy;
  readonly idevidProfiles: ReadonlySet<string>;
}

export interface NotedBy {
  readonly actor: Actor;
  /** Where it was seen: a listener of a broker, or a door. */
  readonly place: string;
  /** It is a gate's word, which shuts out so many devices and no more, see `gate-limit.ts`. */
  readonly byGate?: boolean;
  readonly now: number;
}

/** The one way in which uses of certificates reach rotations: from gates, from doors, and from confirmations. */
export interface UseNoter {
  /** Whether uses are news: what is none must cost no write. */
  isNews(reads: FleetReads, uses: readonly Use[], now: number): Promise<boolean>;
  /**
   * Within a unit of work: begins the grace of rotations whose new certificate is used for the first time, keeps the first sight
   * of a device's first LDevID, and raises the conflicts that it finds. Told again, nothing changes.
   */
  note(tx: FleetTx, uses: readonly Use[], by: NotedBy): Promise<UseNews>;
}

export function createUseNoter({ policy, idevidProfiles }: UseNoterOptions): UseNoter {
  return {
    async isNews(reads, uses, now) {
      const { used, conflicts, firstSights } = await planUses(reads, uses, policy, now);
      return used.length + conflicts.length + firstSights.length > 0;
    },
    async note(tx, uses, { actor, place, byGate = false, now }) {
      const news = await planUses(tx, uses, policy, now);
      const { used, conflicts, firstSights } = news;
      if (used.length + firstSights.length > 0) {
        for (const [usedAt, some] of Map.groupBy(used, (one) => one.usedAt ?? now))
          await tx.noteRotationsUsed(
            some.map(({ id }) => id),
            usedAt,
            now + policy.graceMs,
          );
        const sights = [
          ...used.map(({ newId, usedAt = now }) => ({ id: newId, seenAt: usedAt })),
          ...firstSights.map(({ certificateId, at }) => ({ id: certificateId, seenAt: Math.min(at, now) })),
        ];
        await tx.addSightings(
          sights.map(({ id, seenAt }) => ({
            id,
            seenAt,
            lastSeenAt: seenAt,
            listener: place,
            toldBy: actor,
          })),
        );
        const devices = new Set([...used, ...firstSights].map(({ deviceId }) => deviceId));
        await settleDevices(tx, [...devices], { idevidProfiles, actor, cause: `seen at ${place}`, now });
      }
      if (conflicts.length > 0)
        await raiseConflicts(tx, conflicts, { policy, idevidProfiles, actor, place, byGate, now });
      return news;
    },
  };
}
