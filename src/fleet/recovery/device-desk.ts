import type { CrlRoom } from '../../ca/crl/room.ts';
import type { CertificateFacts } from '../../ca/ports.ts';
import { publishTouchedCrls } from '../../ca/publish-due-crls.ts';
import type { RevocationRecord } from '../../ca/revocation/ports.ts';
import type { Actor, AuditRecord } from '../../core/audit.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { UnitOfWork } from '../../core/unit-of-work.ts';
import { changeStatuses, type StatusOrder } from '../change-status.ts';
import type { DeviceKey, DeviceRecord, DeviceState, FleetReads, FleetTx } from '../ports.ts';
import { callDevice } from '../renewal/call-device.ts';
import { quarantine, release } from './quarantine.ts';
import { recoverFromIdevid, recoverFromLdevid } from './recover.ts';

/** What becomes of a device by an operator's word. */
export type DeviceAct =
  | 'quarantine'
  | 'release'
  | 'retire'
  | 'callRenewal'
  | 'recoverLdevid'
  | 'recoverIdevid';

export interface DeviceActResult {
  readonly state: DeviceState;
  /** How many certificates were revoked, held or released. */
  readonly changed: number;
  /** Whether the lists that they name tell it already; where not, they are tried again until they do. */
  readonly published: boolean;
}

/** By a gate's word, see `createQuarantineDesk`. */
type GateAct = 'quarantineByGate';

/**
 * Acts on a device and all that it has, in one transaction, and publishes what follows. Saying it twice is harmless.
 *
 * @param facts for the audit record
 */
export type DeviceDesk = (
  act: DeviceAct | GateAct,
  device: DeviceKey,
  actor: Actor,
  facts?: AuditRecord['facts'],
) => Promise<DeviceActResult>;

export interface DeviceDeskOptions {
  readonly ledger: UnitOfWork<FleetTx, FleetReads>;
  readonly crls: CrlRoom;
  readonly idevidProfiles: ReadonlySet<string>;
  /** Not guarded, as that of revocations. */
  readonly clock: Clock;
  readonly onUnpublished: (error: unknown) => void;
}

/** A device within the unit of work that acts on it. */
export interface ActedOn {
  readonly device: DeviceRecord;
  /** All that it has, oldest first. */
  readonly certificates: readonly CertificateFacts[];
  readonly revocations: ReadonlyMap<number, RevocationRecord>;
  readonly isIdevid: (certificate: CertificateFacts) => boolean;
  readonly actor: Actor;
  readonly now: number;
  /** Changes certificates of it. Returns those that were changed. */
  change(
    certificates: readonly CertificateFacts[],
    order: Pick<StatusOrder, 'act' | 'reason' | 'cascade'>,
  ): Promise<readonly CertificateFacts[]>;
}

type Work = (tx: FleetTx, on: ActedOn) => Promise<void>;

const WORKS: Readonly<Record<DeviceAct | GateAct, Work>> = {
  quarantine: (tx, on) => quarantine(tx, on, 'operator'),
  quarantineByGate: (tx, on) => quarantine(tx, on, 'gate'),
  release,
  retire,
  callRenewal: callDevice,
  recoverLdevid: recoverFromLdevid,
  recoverIdevid: recoverFromIdevid,
};

/** Errors of the desk: `device-unknown`, `device-restrained` (it is at its end), `bad-request`, `not-found`. */
export function createDeviceDesk(options: DeviceDeskOptions): DeviceDesk {
  const { ledger, crls, idevidProfiles, clock, onUnpublished } = options;
  return async (act, key, actor, facts) => {
    const { state, changed } = await ledger.write(async (tx) => {
      const [device] = await tx.findDevices([key]);
      if (!device)
        throw new BirthmarkError(
          'device-unknown',
          `there is no device ${JSON.stringify(key.serialNumber).slice(0, 80)} in namespace ${key.namespace}`,
        );
      if (device.state === 'retired' && act !== 'retire')
        throw new BirthmarkError('device-restrained', `device ${device.serialNumber} is retired, for good`);
      const certificates = await tx.findFactsByDevices([device.id]);
      const found = await tx.findRevocations(certificates.map(({ id }) => id));
      const now = clock();
      const touched: CertificateFacts[] = [];
      const by = `device:${device.namespace}/${device.serialNumber}`;
      await WORKS[act](tx, {
        device,
        certificates,
        revocations: new Map(found.flatMap((one) => (one ? [[one.id, one] as const] : []))),
        isIdevid: ({ profile }) => idevidProfiles.has(profile),
        actor,
        now,
        change: async (some, order) => {
          const full = { cascade: false, ...order, discoveredAt: now, decidedAt: now };
          const { change } = await changeStatuses(tx, some, full, idevidProfiles, { actor, by, now });
          touched.push(...change.map(({ certificate }) => certificate));
          return change.map(({ certificate }) => certificate);
        },
      });
      const [after] = await tx.findDevicesById([device.id]);
      await tx.appendAudit([
        {
          at: now,
          actor,
          action: `device.${act}`,
          subject: by,
          outcome: 'done',
          facts: {
            ...facts,
            from: device.state,
            to: after?.state ?? device.state,
            certificates: touched.length,
          },
        },
      ]);
      return { state: after?.state ?? device.state, changed: touched };
    });
    return { state, changed: changed.length, published: await publish(changed) };
  };

  async function publish(places: readonly CertificateFacts[]): Promise<boolean> {
    try {
      return await publishTouchedCrls({ places, changed: places.length }, crls, clock);
    } catch (error) {
      onUnpublished(error);
      return false;
    }
  }
}

/** All that it has is revoked, tickets included, and it never comes back. */
async function retire(tx: FleetTx, { device, certificates, now, change }: ActedOn): Promise<void> {
  if (device.state !== 'retired') await tx.retireDevice(device.id);
  await tx.killTickets(device.id, now);
  await change(certificates, { act: 'revoke', reason: 'cessationOfOperation' });
}
