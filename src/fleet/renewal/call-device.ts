import { BirthmarkError } from '../../core/errors.ts';
import type { FleetTx } from '../ports.ts';
import type { ActedOn } from '../recovery/device-desk.ts';

const CAUSE = 'operator';

/**
 * Calls for the renewal of a device's LDevIDs, now.
 *
 * @throws BirthmarkError `not-found` where it has none that stands
 */
export async function callDevice(
  tx: FleetTx,
  { device, certificates, revocations, isIdevid, actor, now }: ActedOn,
): Promise<void> {
  const standing = certificates.filter(
    (one) => !isIdevid(one) && !revocations.has(one.id) && one.notAfter > now,
  );
  if (standing.length === 0)
    throw new BirthmarkError('not-found', `device ${device.serialNumber} has no LDevID that stands`);
  await tx.callRenewals(
    standing.map(({ id }) => ({ certificateId: id, cause: CAUSE, at: now, calledAt: now, calledBy: actor })),
  );
}
