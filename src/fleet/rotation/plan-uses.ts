import type { CertificateFacts, CertificateReads } from '../../ca/ports.ts';
import { equalBytes, toHex } from '../../core/bytes.ts';
import type { Rotation, RotationReads, SightingReads } from '../ports.ts';
import type { RotationPolicy } from './settings.ts';

/** That a certificate was used: somebody proved that he holds its key. */
export interface Use {
  /** The certificate's row. */
  readonly certificateId: number;
  /** Milliseconds since the epoch, by whoever saw it. */
  readonly at: number;
  /** He was turned away: that tells who holds the key, and begins no grace. */
  readonly refused?: boolean;
  /** The device, where its LDevID was used at a place that no gate tells of: the first sight of it is news by itself. */
  readonly deviceId?: number;
}

/** What uses are news of. */
export interface UseNews {
  /** Those of certificates that nobody had seen in use before, see `Use.deviceId`. */
  readonly firstSights: readonly FirstSight[];
  /** Rotations whose new certificate was used for the first time. */
  readonly used: readonly Rotation[];
  /** Rotations of which the wrong certificate was used: two hold the identity. */
  readonly conflicts: readonly Rotation[];
}

export type FirstSight = Use & { readonly deviceId: number };

export type UseReads = RotationReads & SightingReads & Pick<CertificateReads, 'findFactsByDevices'>;

/**
 * Finds out what uses mean for rotations, without changing anything.
 *
 * - The first use of a rotation's new certificate is what its grace begins with.
 * - The old one, used after that by more than the tolerance, is a conflict, retired or not.
 * - So is another new one for the same old one: whoever made it had the old key as well. Where that key did vouch for it the
 *   tolerance is no excuse, since it does not matter then which was used first: a thief would renew when his victim is called to.
 */
export async function planUses(
  reads: UseReads,
  uses: readonly Use[],
  { toleranceMs }: Pick<RotationPolicy, 'toleranceMs'>,
  now: number,
): Promise<UseNews> {
  const touched = await reads.findRotationsWith(uses.map(({ certificateId }) => certificateId));
  const firstSights = await findFirstSights(reads, uses);
  if (touched.length === 0) return { used: [], conflicts: [], firstSights };
  const byOld = touched.filter(({ usedAt }) => usedAt === undefined).map(({ oldId }) => oldId);
  const related = byOld.length === 0 ? [] : await reads.findRotationsWith(byOld);
  const rotations = new Map([...touched, ...related].map((one) => [one.id, one]));
  const idsByOld = Map.groupBy(rotations.keys(), (id) => rotations.get(id)?.oldId);
  const idsByNew = Map.groupBy(rotations.keys(), (id) => rotations.get(id)?.newId);
  const among = (ids: readonly number[] = []) => ids.flatMap((id) => rotations.get(id) ?? []);
  const isRival = await findRivals(reads, [...rotations.values()]);
  const used: Rotation[] = [];
  const conflicts = new Map<number, Rotation>();
  // First uses go first: what one batch tells together may be a conflict by itself.
  const inTime = [...uses].sort((a, b) => a.at - b.at);
  for (const { certificateId, at, refused = false } of inTime) {
    const when = Math.min(at, now);
    const isLate = (other: Rotation) => wasUsed(other) && when > other.usedAt + toleranceMs;
    for (const rotation of among(idsByOld.get(certificateId)))
      if (isLate(rotation)) conflicts.set(rotation.id, rotation);
    for (const rotation of among(idsByNew.get(certificateId))) {
      const { oldId, state, usedAt, begunAt } = rotation;
      if (usedAt !== undefined || (state !== 'open' && state !== 'retired')) continue;
      const rival = among(idsByOld.get(oldId)).find(
        (other) => other.id !== rotation.id && wasUsed(other) && (isLate(other) || isRival(rotation, other)),
      );
      if (rival) conflicts.set(rival.id, rival);
      else if (state === 'open' && !refused) {
        // A gate's clock may be wrong: nobody used it before it was there.
        const first = { ...rotation, state: 'used', usedAt: Math.max(begunAt, when) } as const;
        rotations.set(rotation.id, first);
        used.push(first);
      }
    }
  }
  return { used, conflicts: [...conflicts.values()], firstSights };
}

function wasUsed(rotation: Rotation): rotation is Rotation & { readonly usedAt: number } {
  return rotation.usedAt !== undefined && (rotation.state === 'used' || rotation.state === 'retired');
}

/**
 * Tells of two rotations from one certificate whether they are two holders' if both are used: the one that was begun later was
 * obtained with the old key, for another key than the first. What a device got by its IDevID it may have got after it had used the
 * first one, which a gate tells later. Asks the ledger only where a certificate has two.
 */
async function findRivals(
  reads: Pick<CertificateReads, 'findFactsByDevices'>,
  rotations: readonly Rotation[],
): Promise<(one: Rotation, other: Rotation) => boolean> {
  const doubled = [...Map.groupBy(rotations, ({ oldId }) => oldId).values()].filter(
    (some) => some.length > 1,
  );
  if (doubled.length === 0) return () => false;
  const devices = new Set(doubled.flat().map(({ deviceId }) => deviceId));
  const certificates = new Map<number, CertificateFacts>();
  for (const one of await reads.findFactsByDevices([...devices])) certificates.set(one.id, one);
  return (one, other) => {
    const [earlier, later] = one.id < other.id ? [one, other] : [other, one];
    const [old, first, second] = [later.oldId, earlier.newId, later.newId].map((id) => certificates.get(id));
    if (!old || !first || !second || equalBytes(first.keyHash, second.keyHash)) return false;
    return second.vouchedBy === `certificate:${toHex(old.serial)}`;
  };
}

async function findFirstSights(reads: SightingReads, uses: readonly Use[]): Promise<readonly FirstSight[]> {
  const shown = uses.flatMap((use) =>
    use.deviceId === undefined || use.refused ? [] : [{ ...use, deviceId: use.deviceId }],
  );
  if (shown.length === 0) return [];
  const known = await reads.findSightings(shown.map(({ certificateId }) => certificateId));
  return shown.filter((_, at) => known[at] === undefined);
}
