import type { Actor } from '../core/audit.ts';
import type { UnitOfWork } from '../core/unit-of-work.ts';
import { settledState } from './life.ts';
import type { DeviceState, FleetReads, FleetTx, LifeFacts } from './ports.ts';

export interface SettleOptions {
  readonly idevidProfiles: ReadonlySet<string>;
  readonly actor: Actor;
  /** What moves them, for the audit record. */
  readonly cause: string;
  readonly now: number;
  /** See `settledState`. */
  readonly compromised?: boolean;
}

/**
 * Moves devices into the states that their certificates speak for, within the unit of work that changed those, and ends
 * rotations of which one certificate was taken back. A number of statements that does not grow with the devices.
 */
export async function settleDevices(
  tx: FleetTx,
  ids: readonly number[],
  { idevidProfiles, actor, cause, now, compromised = false }: SettleOptions,
): Promise<void> {
  if (ids.length === 0) return;
  await tx.endBrokenRotations(ids, now);
  const facts = await tx.findLifeFacts(ids, idevidProfiles, now);
  const moved = facts
    .map((one) => ({ device: one, to: settledState(one, compromised) }))
    .filter(({ device, to }) => device.state !== to);
  if (moved.length === 0) return;
  await tx.moveDevices(moved.map(({ device, to }) => ({ deviceId: device.deviceId, to })));
  await tx.appendAudit(moved.map(({ device, to }) => auditMove(device, to, { actor, cause, now })));
}

/** The audit record of a move. */
function auditMove(
  {
    namespace,
    serialNumber,
    state,
  }: Pick<LifeFacts, 'namespace' | 'serialNumber'> & { readonly state: DeviceState },
  to: DeviceState,
  { actor, cause, now }: Pick<SettleOptions, 'actor' | 'cause' | 'now'>,
) {
  return {
    at: now,
    actor,
    action: 'device.move',
    subject: `device:${namespace}/${serialNumber}`,
    outcome: 'done',
    facts: { from: state, to, cause },
  };
}

const AT_ONCE = 500;

/**
 * Works out the states of devices whose certificates were brought back by a record, or by an older version of this program.
 *
 * @returns how many devices were looked at
 */
export async function settleReplayed(
  ledger: UnitOfWork<FleetTx, FleetReads>,
  idevidProfiles: ReadonlySet<string>,
  now: number,
): Promise<number> {
  for (let looked = 0; ; ) {
    const ids = await ledger.read.listUnsettled(AT_ONCE);
    if (ids.length === 0) return looked;
    await ledger.write(async (tx) => {
      await settleDevices(tx, ids, { idevidProfiles, actor: 'system', cause: 'record', now });
      await tx.noteSettled(ids);
    });
    looked += ids.length;
  }
}
