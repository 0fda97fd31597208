import type { CertificateFacts } from '../../ca/ports.ts';
import type { RevocationRecord } from '../../ca/revocation/ports.ts';
import type { Actor } from '../../core/audit.ts';
import { changeStatuses } from '../change-status.ts';
import type { DeviceRecord, FleetTx, Rotation } from '../ports.ts';
import { beginRotations, type Follower, findPredecessor } from './begin-rotations.ts';

/** A certificate that is to be reserved for a device that is known. */
export interface Issuing {
  readonly device: DeviceRecord;
  readonly profile: string;
  readonly kind: 'idevid' | 'ldevid';
  /** Serial of what it renews. */
  readonly renewed: Uint8Array | undefined;
  /** All that the device had before, oldest first. */
  readonly issued: readonly CertificateFacts[];
  /** Whether it comes with what only the device itself has: then it may settle who holds the identity. */
  readonly proven: boolean;
}

/** What a certificate is to its device. */
export interface Succession {
  /** What it takes the place of. */
  readonly old?: CertificateFacts;
  /** With it the device takes its identity back from whoever else holds it. */
  readonly recovers: boolean;
}

export interface SuccessionOptions {
  readonly idevidProfiles: ReadonlySet<string>;
  readonly maxUnseen: number;
  readonly actor: Actor;
  readonly now: number;
}

/** Of one unit of work: what was found before certificates are reserved, for what is written after. */
export interface Successions {
  readonly rotations: readonly Rotation[];
  readonly of: readonly Succession[];
}

/** Finds out, in order, what certificates are to their devices. Asks the ledger only where a device has an LDevID already. */
export async function findSuccessions(
  tx: FleetTx,
  issuing: readonly (Issuing | undefined)[],
  revocations: ReadonlyMap<number, RevocationRecord>,
  { idevidProfiles, now }: Pick<SuccessionOptions, 'idevidProfiles' | 'now'>,
): Promise<Successions> {
  const bears = issuing.map((one) => one?.kind === 'ldevid' && hasLdevid(one, revocations, idevidProfiles));
  const devices = issuing.flatMap((one, at) => (one && bears[at] ? [one.device.id] : []));
  const rotations = devices.length === 0 ? [] : await tx.findRotationsOf(devices);
  const of = issuing.map((one, at): Succession => {
    if (!one || !bears[at]) return { recovers: one?.device.state === 'quarantined' };
    const own = rotations.filter(({ deviceId }) => deviceId === one.device.id);
    const recovers =
      one.device.state === 'quarantined' || (one.proven && own.some(({ state }) => state === 'conflict'));
    const { issued, renewed, profile } = one;
    const old = recovers
      ? undefined
      : findPredecessor(profile, { issued, revocations, rotations: own, renewed, now });
    return { recovers, ...(old && { old }) };
  });
  return { rotations, of };
}

/** Whether it has an LDevID that was not revoked. */
function hasLdevid(
  { issued }: Issuing,
  revocations: ReadonlyMap<number, RevocationRecord>,
  idevidProfiles: ReadonlySet<string>,
): boolean {
  return issued.some(({ id, profile }) => {
    const revocation = revocations.get(id);
    return !idevidProfiles.has(profile) && (!revocation || revocation.held);
  });
}

/**
 * Writes down what reserved certificates are to their devices: rotations begin; a device that takes its identity back comes out
 * of its quarantine, and every other LDevID that it had is revoked for keyCompromise, since nobody knows which was the thief's.
 *
 * @param reserved rows of the new certificates, in the order of `issuing`
 */
export async function noteIssued(
  tx: FleetTx,
  issuing: readonly (Issuing | undefined)[],
  reserved: readonly number[],
  { rotations, of }: Successions,
  options: SuccessionOptions,
): Promise<void> {
  const followers: Follower[] = [];
  for (const [at, one] of issuing.entries()) {
    const [succession, newId] = [of[at], reserved[at]];
    if (!one || !succession || newId === undefined) continue;
    const { device } = one;
    if (succession.recovers) await takeBackIdentity(tx, one, newId, options);
    else if (succession.old) {
      const { id: oldId, notAfter: oldNotAfter } = succession.old;
      followers.push({ deviceId: device.id, newId, oldId, oldNotAfter });
    }
  }
  await beginRotations(tx, followers, rotations, options);
}

async function takeBackIdentity(
  tx: FleetTx,
  { device, issued, kind, profile }: Issuing,
  newId: number,
  { idevidProfiles, actor, now }: SuccessionOptions,
): Promise<void> {
  const conflicts = (await tx.findRotationsOf([device.id])).filter(({ state }) => state === 'conflict');
  const quarantine = await tx.findQuarantine(device.id);
  const byCampaign = quarantine?.cause === 'campaign' && conflicts.length === 0;
  const isGone = (one: CertificateFacts) =>
    !byCampaign || one.profile === profile || quarantine.held.includes(one.id);
  await tx.endRotations(
    conflicts.map(({ id }) => id),
    'ended',
    now,
  );
  await tx.endQuarantine(device.id, 'recovering');
  const name = `device:${device.namespace}/${device.serialNumber}`;
  await tx.appendAudit([
    {
      at: now,
      actor,
      action: 'device.move',
      subject: name,
      outcome: 'done',
      facts: {
        from: device.state,
        to: 'recovering',
        cause: `a new ${kind === 'idevid' ? 'IDevID' : 'LDevID'}`,
      },
    },
  ]);
  await changeStatuses(
    tx,
    issued.filter((one) => one.id !== newId && !idevidProfiles.has(one.profile) && isGone(one)),
    { act: 'revoke', reason: 'keyCompromise', discoveredAt: now, decidedAt: now, cascade: false },
    idevidProfiles,
    { actor, by: `recovery:${name}`, now },
  );
}
