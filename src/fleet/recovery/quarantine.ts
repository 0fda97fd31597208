import { BirthmarkError } from '../../core/errors.ts';
import { settledState } from '../life.ts';
import type { FleetTx, QuarantineCause } from '../ports.ts';
import type { ActedOn } from './device-desk.ts';

/** How much it takes to get out: what is said later never makes it less. */
const RANK: Readonly<Record<QuarantineCause, number>> = {
  campaign: 0,
  conflict: 1,
  gate: 1,
  operator: 2,
  compromise: 3,
};

/** Shuts a device out: all that it has and that stands is held. */
export async function quarantine(
  tx: FleetTx,
  { device, certificates, revocations, actor, now, change }: ActedOn,
  asked: QuarantineCause,
): Promise<void> {
  const before = await tx.findQuarantine(device.id);
  const cause = before && RANK[before.cause] >= RANK[asked] ? before.cause : asked;
  const live = certificates.filter(({ id, notAfter }) => !revocations.has(id) && notAfter > now);
  if (before && before.cause === cause && live.length === 0) return;
  const held = [...(before?.held ?? []), ...live.map(({ id }) => id)];
  await tx.addQuarantine({ deviceId: device.id, cause, since: before?.since ?? now, orderedBy: actor, held });
  await change(live, { act: 'hold' });
}

/**
 * Ends a quarantine: what it held is released, what was held before it or was revoked meanwhile stays so.
 *
 * @throws BirthmarkError `bad-request`
 */
export async function release(
  tx: FleetTx,
  { device, certificates, revocations, isIdevid, now, change }: ActedOn,
): Promise<void> {
  const before = await tx.findQuarantine(device.id);
  if (!before)
    throw new BirthmarkError(
      'bad-request',
      `device ${device.serialNumber} is ${device.state}, not quarantined; birthmark unhold releases what is held`,
    );
  if (before.cause === 'compromise')
    throw new BirthmarkError(
      'device-restrained',
      `the IDevID of device ${device.serialNumber} is compromised: only a recovery ticket brings it back (birthmark ticket create --recovery)`,
    );
  const own = new Set(before.held);
  await change(
    certificates.filter(({ id }) => own.has(id) && revocations.get(id)?.held),
    { act: 'release' },
  );
  // Somebody looked at it: what two held is one device's again, and its next renewal sorts out the rest.
  await endConflicts(tx, device.id, now);
  const idevidProfiles = new Set(certificates.filter(isIdevid).map(({ profile }) => profile));
  const [facts] = await tx.findLifeFacts([device.id], idevidProfiles, now);
  if (facts) await tx.endQuarantine(device.id, settledState({ ...facts, state: 'manufactured' }));
}

export async function endConflicts(tx: FleetTx, deviceId: number, now: number): Promise<void> {
  const conflicts = (await tx.findRotationsOf([deviceId])).filter(({ state }) => state === 'conflict');
  await tx.endRotations(
    conflicts.map(({ id }) => id),
    'ended',
    now,
  );
}
