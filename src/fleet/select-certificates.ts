import type { CertificateFacts } from '../ca/ports.ts';
import { toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { DeviceKey, FleetReads } from './ports.ts';

/** Which certificates an act is about. Serials and keys are octets; `keyHash` is the SHA-256 of the SubjectPublicKeyInfo. */
export type Selector =
  | { readonly kind: 'serial'; readonly serial: Uint8Array }
  | { readonly kind: 'device'; readonly device: DeviceKey }
  | { readonly kind: 'key'; readonly keyHash: Uint8Array }
  /** The certificate, and all that it vouched for from that time on, through any number of renewals. */
  | { readonly kind: 'lineage'; readonly serial: Uint8Array; readonly since: number }
  | { readonly kind: 'batch'; readonly batch: string }
  | { readonly kind: 'authority'; readonly authority: string };

/** Those that may select more than one unit of work should change. */
export type WideSelector = Extract<Selector, { readonly kind: 'batch' | 'authority' }>;
export type NarrowSelector = Exclude<Selector, WideSelector>;

export function isWide(by: Selector): by is WideSelector {
  return by.kind === 'batch' || by.kind === 'authority';
}

/** For people and for the audit record. */
export function describeSelector(by: Selector): string {
  switch (by.kind) {
    case 'device':
      return `device:${by.device.namespace}/${by.device.serialNumber}`;
    case 'key':
      return `key:${toHex(by.keyHash)}`;
    case 'batch':
      return `batch:${by.batch}`;
    case 'authority':
      return `authority:${by.authority}`;
    default:
      return `${by.kind}:${toHex(by.serial)}`;
  }
}

/**
 * The certificates and reservations that a narrow selector means, oldest first.
 *
 * @throws BirthmarkError `not-found`, `device-unknown`
 */
export async function selectCertificates(
  reads: FleetReads,
  by: NarrowSelector,
): Promise<readonly CertificateFacts[]> {
  if (by.kind === 'key') return reads.findByKey(by.keyHash);
  if (by.kind === 'device') {
    const [device] = await reads.findDevices([by.device]);
    if (device) return reads.findFactsByDevices([device.id]);
    const { namespace, serialNumber } = by.device;
    throw new BirthmarkError(
      'device-unknown',
      `there is no device ${serialNumber} in namespace ${namespace}`,
    );
  }
  const certificate = await reads.findBySerial(by.serial);
  if (!certificate)
    throw new BirthmarkError('not-found', `no certificate here has serial ${toHex(by.serial)}`);
  if (by.kind === 'serial') return [certificate];
  const { since } = by;
  const vouched = await vouchedFor(reads, [certificate]);
  return [certificate, ...vouched.filter(({ reservedAt }) => reservedAt >= since)];
}

/**
 * What these certificates vouched for, what that vouched for, and so on. A certificate vouches for its own device only, so
 * the devices' certificates are all that there is to look at.
 */
export async function vouchedFor(
  reads: FleetReads,
  certificates: readonly CertificateFacts[],
): Promise<readonly CertificateFacts[]> {
  const devices = new Set(certificates.flatMap(({ deviceId }) => (deviceId === null ? [] : [deviceId])));
  if (devices.size === 0) return [];
  const byVoucher = Map.groupBy(await reads.findFactsByDevices([...devices]), ({ vouchedBy }) => vouchedBy);
  const seen = new Set(certificates.map(({ id }) => id));
  const found: CertificateFacts[] = [];
  const open: CertificateFacts[] = [...certificates];
  for (let one = open.pop(); one; one = open.pop()) {
    for (const child of byVoucher.get(`certificate:${toHex(one.serial)}`) ?? []) {
      if (seen.has(child.id)) continue;
      seen.add(child.id);
      found.push(child);
      open.push(child);
    }
  }
  return found.sort((a, b) => a.id - b.id);
}
