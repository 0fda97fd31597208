import { BirthmarkError } from '../../core/errors.ts';
import type { FleetTx } from '../ports.ts';
import type { ActedOn } from './device-desk.ts';
import { endConflicts, quarantine } from './quarantine.ts';

/**
 * An LDevID's key is out: every LDevID of the device is revoked for keyCompromise and its key blocked, tickets that were made
 * for it are dead, and it comes back with its IDevID, or by a ticket that is made from now on, and a new key.
 *
 * @throws BirthmarkError `not-found`, `device-restrained`
 */
export async function recoverFromLdevid(tx: FleetTx, on: ActedOn): Promise<void> {
  const { device, certificates, revocations, isIdevid, now, change } = on;
  const ldevids = certificates.filter((one) => !isIdevid(one));
  if (ldevids.length === 0)
    throw new BirthmarkError('not-found', `device ${device.serialNumber} has no LDevID`);
  const shutOut = await tx.findQuarantine(device.id);
  if (shutOut?.cause === 'compromise')
    throw new BirthmarkError(
      'device-restrained',
      `the IDevID of device ${device.serialNumber} is compromised: it recovers by a recovery ticket only`,
    );
  // Before its IDevID may speak again: released, an LDevID would be good for a moment.
  await change(ldevids, { act: 'revoke', reason: 'keyCompromise' });
  if (shutOut) {
    const own = new Set(shutOut.held);
    await change(
      certificates.filter((one) => isIdevid(one) && own.has(one.id) && revocations.get(one.id)?.held),
      { act: 'release' },
    );
    await tx.endQuarantine(device.id, 'compromised');
  }
  await endConflicts(tx, device.id, now);
  await tx.killTickets(device.id, now);
}

/**
 * The IDevID's key is out: it and all that it vouched for is revoked for keyCompromise, what else the device has is held, and
 * only a recovery ticket brings it back.
 *
 * @throws BirthmarkError `not-found`
 */
export async function recoverFromIdevid(tx: FleetTx, on: ActedOn): Promise<void> {
  const { device, certificates, isIdevid, now, change } = on;
  const idevids = certificates.filter(isIdevid);
  if (idevids.length === 0)
    throw new BirthmarkError(
      'not-found',
      `device ${device.serialNumber} has no IDevID of ours; its manufacturer must be told (birthmark trust remove ends the trust in it)`,
    );
  const revoked = await change(idevids, { act: 'revoke', reason: 'keyCompromise', cascade: true });
  await endConflicts(tx, device.id, now);
  await tx.killTickets(device.id, now);
  const gone = new Set(revoked.map(({ id }) => id));
  const left = certificates.filter(({ id }) => !gone.has(id));
  await quarantine(tx, { ...on, certificates: left }, 'compromise');
}
