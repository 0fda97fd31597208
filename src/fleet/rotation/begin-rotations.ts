import type { CertificateFacts } from '../../ca/ports.ts';
import type { RevocationRecord } from '../../ca/revocation/ports.ts';
import type { Actor } from '../../core/audit.ts';
import { equalBytes } from '../../core/bytes.ts';
import { changeStatuses } from '../change-status.ts';
import type { FleetTx, NewRotation, Rotation } from '../ports.ts';

/** A certificate that was just reserved for a device that has others. */
export interface Follower {
  readonly deviceId: number;
  readonly newId: number;
  /** What the new one takes the place of. */
  readonly oldId: number;
  readonly oldNotAfter: number;
}

/**
 * Which certificate of a device a new one of a profile is to take the place of: the one that it renews, or the newest that
 * stands. One that nobody has used yet takes no place: then it is the one that it was to follow itself.
 *
 * @param issued all that the device has, oldest first
 * @param rotations of the device
 */
export function findPredecessor(
  profile: string,
  {
    issued,
    revocations,
    rotations,
    renewed,
    now,
  }: {
    readonly issued: readonly CertificateFacts[];
    readonly revocations: ReadonlyMap<number, RevocationRecord>;
    readonly rotations: readonly Rotation[];
    readonly renewed: Uint8Array | undefined;
    readonly now: number;
  },
): CertificateFacts | undefined {
  const standing = issued.filter(
    (one) => one.profile === profile && one.notAfter > now && !revocations.has(one.id),
  );
  let found = renewed && standing.find(({ serial }) => equalBytes(serial, renewed));
  found ??= standing.at(-1);
  const unseen = rotations.find(({ newId, state }) => newId === found?.id && state === 'open');
  return (unseen && standing.find(({ id }) => id === unseen.oldId)) ?? found;
}

export interface BeginOptions {
  readonly maxUnseen: number;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly actor: Actor;
  readonly now: number;
}

/**
 * Begins rotations within the unit of work that reserves the new certificates, and takes back the oldest that a device never
 * used where it has too many.
 *
 * @param rotations of these devices, as they were before
 */
export async function beginRotations(
  tx: FleetTx,
  followers: readonly Follower[],
  rotations: readonly Rotation[],
  { maxUnseen, idevidProfiles, actor, now }: BeginOptions,
): Promise<void> {
  if (followers.length === 0) return;
  await tx.addRotations(
    followers.map(
      ({ deviceId, oldId, newId, oldNotAfter }): NewRotation => ({
        deviceId,
        oldId,
        newId,
        begunAt: now,
        dueAt: oldNotAfter,
      }),
    ),
  );
  const open = Map.groupBy(
    rotations.filter(({ state }) => state === 'open'),
    ({ deviceId }) => deviceId,
  );
  const surplus = followers.flatMap(({ deviceId }) => {
    const unseen = open.get(deviceId) ?? [];
    return unseen.slice(0, Math.max(0, unseen.length + 1 - maxUnseen));
  });
  if (surplus.length === 0) return;
  await tx.endRotations(
    surplus.map(({ id }) => id),
    'ended',
    now,
  );
  const dropped = new Set(surplus.map(({ newId }) => newId));
  const certificates = await tx.findFactsByDevices(surplus.map(({ deviceId }) => deviceId));
  await changeStatuses(
    tx,
    certificates.filter(({ id }) => dropped.has(id)),
    { act: 'revoke', reason: 'superseded', discoveredAt: now, decidedAt: now, cascade: false },
    idevidProfiles,
    { actor, by: 'rotation:unseen', now },
  );
}
