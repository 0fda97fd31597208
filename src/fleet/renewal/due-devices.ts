import type { CertificateReads, CertificateRecord } from '../../ca/ports.ts';
import { type RenewalRoom, readRenewals } from './read-renewal.ts';

export interface DueRoom extends RenewalRoom {
  readonly reads: RenewalRoom['reads'] & Pick<CertificateReads, 'findByDevices'>;
}

/**
 * The devices whose newest LDevID of a profile is to be renewed by now, out of those. A state of the clock, which no act moves: it
 * is found out where devices are read. What was taken back is not due; its device has a state that says so.
 */
export async function findDueDevices(
  room: DueRoom,
  deviceIds: readonly number[],
  now: number,
): Promise<ReadonlySet<number>> {
  const standing = new Map<string, CertificateRecord>();
  for (const one of await room.reads.findByDevices(deviceIds))
    if (one.signature && !room.idevidProfiles.has(one.profile))
      standing.set(`${one.deviceId}/${one.profile}`, one);
  const certificates = [...standing.values()];
  const revocations = await room.reads.findRevocations(certificates.map(({ id }) => id));
  const renewals = await readRenewals(room, certificates);
  return new Set(
    certificates.flatMap(({ deviceId }, at) => {
      const renewal = renewals[at];
      return deviceId !== null && !revocations[at] && renewal && renewal.window.start <= now
        ? [deviceId]
        : [];
    }),
  );
}
