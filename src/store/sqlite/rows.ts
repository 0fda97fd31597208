import type { CertificateRecord } from '../../ca/ports.ts';
import type { DeviceRecord, DeviceState } from '../../fleet/ports.ts';

/** A row of `devices`. */
export interface DevicesTable {
  readonly id: number;
  readonly namespace: string;
  readonly serial_number: string;
  readonly model: string | null;
  readonly batch: string | null;
  readonly hw_type: string | null;
  readonly hw_serial_num: Uint8Array | null;
  readonly state: DeviceState;
  readonly created_at: number;
  readonly rebirth_allowed: number;
  readonly tickets_after: number;
}

/** A row of `certificates`. */
export interface CertificatesTable {
  readonly id: number;
  readonly serial: Uint8Array;
  readonly authority: string;
  readonly device_id: number | null;
  readonly profile: string;
  readonly key_hash: Uint8Array;
  readonly not_before: number;
  readonly not_after: number;
  readonly shard: number;
  readonly vouched_by: string;
  readonly holder: string;
  readonly reserved_at: number;
  readonly tbs: Uint8Array;
}

/** Columns of a certificate `c` as `CertificateFacts`. */
export const FACTS = `c.id, c.serial, c.authority, c.device_id AS deviceId, c.profile, c.key_hash AS keyHash, c.not_after AS notAfter,
  c.shard, c.vouched_by AS vouchedBy, c.holder, c.reserved_at AS reservedAt`;

/** A certificate with what signed it, if anything did. */
export interface CertificateRow extends CertificatesTable {
  readonly signature: Uint8Array | null;
}

export function toDevice(row: DevicesTable): DeviceRecord {
  const { hw_type: hwType, hw_serial_num: hwSerialNum } = row;
  return {
    id: row.id,
    namespace: row.namespace,
    serialNumber: row.serial_number,
    ...(row.model === null ? {} : { model: row.model }),
    ...(row.batch === null ? {} : { batch: row.batch }),
    ...(hwType === null || hwSerialNum === null ? {} : { hardware: { hwType, hwSerialNum } }),
    state: row.state,
    createdAt: row.created_at,
    rebirthAllowed: row.rebirth_allowed === 1,
    ticketsAfter: row.tickets_after,
  };
}

export function toCertificate(row: CertificateRow): CertificateRecord {
  return {
    id: row.id,
    serial: row.serial,
    authority: row.authority,
    deviceId: row.device_id,
    profile: row.profile,
    keyHash: row.key_hash,
    notBefore: row.not_before,
    notAfter: row.not_after,
    shard: row.shard,
    tbs: row.tbs,
    vouchedBy: row.vouched_by,
    holder: row.holder,
    reservedAt: row.reserved_at,
    ...(row.signature === null ? {} : { signature: row.signature }),
  };
}
