import type { CertificateFacts, KeyRecord } from '../ca/ports.ts';
import type { PreparedCertificate } from '../ca/prepare.ts';
import type { Profile } from '../ca/profile.ts';
import type { RevocationRecord } from '../ca/revocation/ports.ts';
import { BirthmarkError } from '../core/errors.ts';
import { decideIdentity, type IdentityVerdict } from './decide-identity.ts';
import { findShutOut } from './find-shut-out.ts';
import { LIFE, type Way } from './life.ts';
import type { DeviceKey, DeviceRecord, FleetTx, HardwareModule } from './ports.ts';

/** A device that asks, with its certificate prepared. */
export interface IdentityRequest {
  readonly device: DeviceKey;
  readonly model?: string;
  readonly batch?: string;
  readonly hardware?: HardwareModule;
  readonly keyHash: Uint8Array;
  readonly prepared: PreparedCertificate;
  /** Serial of the certificate that this one follows, see `decideIdentity`. */
  readonly renewed?: Uint8Array;
  /** What the audit record of this request tells beside the certificate. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** What bears on whether a device may have what it asks for. */
export interface JudgeOptions {
  /** By what it comes, see `life.ts`. */
  readonly way: Way;
  /** Whether a device that has an LDevID of the profile, which stands, may have another one in its place. */
  readonly replaces: boolean;
  /** How many certificates may be reserved; those beyond are refused with `token-exhausted`. */
  readonly quota: number;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly now: number;
}

export interface Judged {
  readonly request: IdentityRequest;
  readonly device: DeviceRecord | undefined;
  readonly key: KeyRecord | undefined;
  /** All that the device had before, oldest first. */
  readonly issued: readonly CertificateFacts[];
  readonly verdict: IdentityVerdict;
}

export type Revocations = ReadonlyMap<number, RevocationRecord>;

/**
 * Decides for many devices whether each may have the certificate that it asks for, by what the ledger knows of it. Nothing is written.
 *
 * @param requests no device and no key is twice among them
 * @returns one verdict for one request, in order, and what was taken back of all that they have
 */
export async function judgeIdentities(
  tx: FleetTx,
  requests: readonly IdentityRequest[],
  options: JudgeOptions,
): Promise<{ readonly judged: readonly Judged[]; readonly revocations: Revocations }> {
  const devices = await tx.findDevices(requests.map(({ device }) => device));
  const keys = await tx.findKeys(requests.map(({ keyHash }) => keyHash));
  const known = devices.flatMap((device) => (device ? [device.id] : []));
  const certificates = known.length === 0 ? [] : await tx.findFactsByDevices(known);
  const takenBack =
    certificates.length === 0 ? [] : await tx.findRevocations(certificates.map(({ id }) => id));
  const revocations = new Map(takenBack.flatMap((one) => (one ? [[one.id, one] as const] : [])));
  const byDevice = Map.groupBy(certificates, ({ deviceId }) => deviceId);
  const shutOut = await findShutOut(tx, devices, byDevice, revocations, options);
  let quota = options.quota;
  const judged = requests.map((request, at): Judged => {
    const device = allowRebirth(devices[at], options.way);
    const key = keys[at];
    const issued: readonly CertificateFacts[] = (device && byDevice.get(device.id)) ?? [];
    const { profile } = request.prepared;
    let verdict = decideIdentity(
      profile,
      request.keyHash,
      { certificates: issued, revocations, ...(device && { device }), ...(key && { key }) },
      options.idevidProfiles,
      options.now,
      request.renewed,
      request.prepared.authority.name,
    );
    // Who is not shut out may ask again for what it has, whatever it came by.
    const repeats = verdict.kind === 'repeat' && device && LIFE[device.state].broker !== 'nothing';
    if (verdict.kind !== 'refuse' && !repeats && device && shutOut.has(device.id))
      verdict = { kind: 'refuse', error: restrained(device) };
    if (
      verdict.kind === 'issue' &&
      device &&
      !options.replaces &&
      standing(profile, issued, revocations, options.now)
    )
      verdict = { kind: 'refuse', error: mayNotReplace(device, profile) };
    if (verdict.kind === 'issue') {
      quota -= 1;
      if (quota < 0) verdict = { kind: 'refuse', error: exhausted() };
    }
    return { request, device, key, issued, verdict };
  });
  return { judged, revocations };
}

/** A recovery ticket is an operator's word that the device may be born again. */
function allowRebirth(device: DeviceRecord | undefined, way: Way): DeviceRecord | undefined {
  return device && way === 'recoveryTicket' ? { ...device, rebirthAllowed: true } : device;
}

/** Whether a device has an LDevID of a profile that stands. An IDevID is there once anyway, see `decideIdentity`. */
function standing(
  { name, kind }: Profile,
  issued: readonly CertificateFacts[],
  revocations: Revocations,
  now: number,
): boolean {
  return (
    kind !== 'idevid' &&
    issued.some((one) => one.profile === name && one.notAfter > now && !revocations.has(one.id))
  );
}

function mayNotReplace({ serialNumber }: DeviceRecord, { name }: Profile): BirthmarkError {
  return new BirthmarkError(
    'profile-not-allowed',
    `device ${serialNumber} has a certificate of ${name} that stands; a factory token gives another one in its place only if it was made ` +
      `for that profile (birthmark token create --profile ${name})`,
    { field: 'profile' },
  );
}

function restrained({ serialNumber, state }: DeviceRecord): BirthmarkError {
  return new BirthmarkError(
    'device-restrained',
    `device ${serialNumber} is ${state}, and may not come to this door by what it brings; an operator sees why and what to do ` +
      '(birthmark device show)',
  );
}

function exhausted(): BirthmarkError {
  return new BirthmarkError(
    'token-exhausted',
    'all that this token or ticket may have issued was issued; ask for another one',
  );
}
