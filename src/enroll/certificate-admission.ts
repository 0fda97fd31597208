import type { CertificateRecord } from '../ca/ports.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { UseNoter } from '../fleet/rotation/note-use.ts';
import type { Admission } from './admission.ts';
import type { DeviceIdentity } from './identify.ts';
import type { LedgerTx } from './ports.ts';
import { refuseTakenBack } from './refuse-taken-back.ts';

/** Where uses of certificates are noted. */
export interface WatchedUses {
  readonly uses: UseNoter;
  readonly clock: Clock;
  /** The door, for people. */
  readonly place: string;
}

/**
 * A certificate vouches for one certificate more. Whether its key may still speak is looked at again in the unit of work
 * that reserves: a block or a revocation that came in between counts.
 */
export function certificateAdmission(
  identity: DeviceIdentity,
  { uses, clock, place }: WatchedUses,
): Admission {
  const { device, vouchedBy, keyHash, record, voucher } = identity;
  const actor = `device:${device.namespace}/${device.serialNumber}`;
  return {
    actor,
    way: voucher === 'ldevid' ? 'ldevid' : 'idevid',
    vouchedBy,
    replaces: true,
    redeem: async (tx) => {
      if (record) await refuseTakenBack(tx, record.id);
      if (record) await noteUse(tx, record);
      const [key] = await tx.findKeys([keyHash]);
      if (key?.blocked !== undefined)
        throw new BirthmarkError('key-blocked', "the key of the client's certificate is on the block list");
      return 1;
    },
    settle: () => Promise.resolve(),
  };

  /** To come with a certificate is to use it. Where that shows that two hold the identity, it vouches for nothing. */
  async function noteUse(tx: LedgerTx, { id: certificateId, deviceId }: CertificateRecord): Promise<void> {
    const now = clock();
    const use = { certificateId, at: now, ...(voucher === 'ldevid' && deviceId !== null && { deviceId }) };
    const { conflicts } = await uses.note(tx, [use], { actor, place, now });
    if (conflicts.length > 0) await refuseTakenBack(tx, certificateId);
  }
}

/** What waits for approval. */
export interface Approvable {
  readonly namespace: string;
  readonly serialNumber: string;
  readonly profile: string;
}

/**
 * An admission that also wants an operator's word, for each key of the device once. Until it is given the same request
 * is answered in the same way, whenever it comes (RFC 7030 §4.2.3).
 *
 * @returns an admission whose `redeem` throws `approval-waiting`, `approval-denied` besides
 */
export function withApproval(admission: Admission, what: Approvable, clock: () => number): Admission {
  return {
    ...admission,
    redeem: async (tx, keyHashes) => {
      const allowed = await admission.redeem(tx, keyHashes);
      for (const keyHash of keyHashes) await assertApproved(tx, admission, { ...what, keyHash }, clock());
      return allowed;
    },
  };
}

async function assertApproved(
  tx: LedgerTx,
  { actor, vouchedBy }: Admission,
  key: Approvable & { readonly keyHash: Uint8Array },
  now: number,
): Promise<void> {
  const known = await tx.findApproval(key);
  if (known?.state === 'approved') return;
  if (known?.state === 'denied')
    throw new BirthmarkError('approval-denied', 'an operator denied this enrollment');
  if (!known) {
    await tx.addApproval(key, vouchedBy, now);
    await tx.appendAudit([
      {
        at: now,
        actor,
        action: 'enrollment.request',
        subject: `device:${key.namespace}/${key.serialNumber}`,
        outcome: 'waiting',
        facts: { profile: key.profile },
      },
    ]);
  }
  throw new BirthmarkError(
    'approval-waiting',
    'the enrollment waits for an operator (birthmark enrollment approve); send the same request again later',
  );
}
