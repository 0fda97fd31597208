import { type Decision, toReservation } from '../ca/issue.ts';
import type { CertificateFacts, CertificateRecord, KeyRecord } from '../ca/ports.ts';
import type { PreparedCertificate } from '../ca/prepare.ts';
import type { Profile } from '../ca/profile.ts';
import type { RevocationRecord } from '../ca/revocation/ports.ts';
import type { Actor, AuditRecord, Incident } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { decideIdentity, type IdentityVerdict } from './decide-identity.ts';
import { findShutOut } from './find-shut-out.ts';
import { LIFE, type Way } from './life.ts';
import type { DeviceKey, DeviceRecord, DeviceState, FleetTx, HardwareModule } from './ports.ts';
import { recordDevices } from './record-devices.ts';
import { findSuccessions, type Issuing, noteIssued } from './rotation/note-issued.ts';

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

export interface RegisterOptions {
  readonly actor: Actor;
  /** Who vouches, as the certificate's record keeps it. */
  readonly vouchedBy: string;
  /** By what it comes, see `life.ts`. */
  readonly way: Way;
  /** Whether a device that has an LDevID of the profile, which stands, may have another one in its place. */
  readonly replaces: boolean;
  /** Certificates of a device that nobody has seen in use, see `RotationPolicy`. */
  readonly maxUnseen: number;
  /** How many certificates may be reserved; those beyond are refused with `token-exhausted`. */
  readonly quota: number;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly now: number;
}

/**
 * Decides and reserves for many devices within one unit of work: devices and keys are recorded, serials and bytes are
 * taken, acts and incidents are written. Nothing is signed here.
 *
 * @returns one decision for one request, in order
 */
export async function registerIdentities(
  tx: FleetTx,
  requests: readonly IdentityRequest[],
  options: RegisterOptions,
): Promise<Decision[]> {
  const decisions: Decision[] = [];
  let quota = options.quota;
  for (const round of independentRounds(requests)) {
    const decided = await registerRound(tx, round, { ...options, quota });
    quota -= decided.filter(({ kind }) => kind === 'reserved').length;
    decisions.push(...decided);
  }
  return decisions;
}

/** Cuts the requests so that no device and no key is twice in a round: each round sees what the one before it wrote. */
function independentRounds(requests: readonly IdentityRequest[]): IdentityRequest[][] {
  const rounds: IdentityRequest[][] = [];
  let round: IdentityRequest[] = [];
  let seen = new Set<string>();
  for (const request of requests) {
    const marks = [deviceName(request.device), toHex(request.keyHash)];
    if (marks.some((mark) => seen.has(mark))) {
      rounds.push(round);
      round = [];
      seen = new Set();
    }
    round.push(request);
    for (const mark of marks) seen.add(mark);
  }
  if (round.length > 0) rounds.push(round);
  return rounds;
}

export interface Judged {
  readonly request: IdentityRequest;
  readonly device: DeviceRecord | undefined;
  readonly key: KeyRecord | undefined;
  /** All that the device had before, oldest first. */
  readonly issued: readonly CertificateFacts[];
  readonly verdict: IdentityVerdict;
}

type Revocations = ReadonlyMap<number, RevocationRecord>;

async function registerRound(
  tx: FleetTx,
  requests: readonly IdentityRequest[],
  options: RegisterOptions,
): Promise<Decision[]> {
  const { judged, revocations } = await judge(tx, requests, options);
  const granted = judged.filter(({ verdict }) => verdict.kind === 'issue');
  const issuing = granted.map((one) => issuingOf(one, options.way));
  const successions = await findSuccessions(tx, issuing, revocations, options);
  const { ids: deviceIds, moved } = await recordDevices(tx, granted, successions, options.now);
  await tx.claimKeys(
    granted.flatMap(({ request, key }, at) =>
      key ? [] : [{ keyHash: request.keyHash, deviceId: deviceIds[at] ?? 0 }],
    ),
  );
  const ids = await tx.reserve(
    granted.map(({ request }, at) =>
      toReservation(
        request.prepared,
        {
          deviceId: deviceIds[at] ?? 0,
          keyHash: request.keyHash,
          vouchedBy: options.vouchedBy,
          holder: request.device.serialNumber,
        },
        options.now,
      ),
    ),
  );
  await noteIssued(tx, issuing, ids, successions, options);
  await tx.appendAudit(judged.flatMap((one) => auditOf(one, moved.get(one), options)));
  await tx.appendIncidents(judged.flatMap((one) => incidentOf(one, options)));
  const idOf = new Map(granted.map((one, at) => [one, ids[at] ?? 0]));
  const repeated = await findRepeated(tx, judged);
  return judged.map((one) => {
    const { verdict, request } = one;
    if (verdict.kind === 'repeat') return { kind: 'repeat', record: repeated(verdict.certificate.id) };
    if (verdict.kind === 'refuse') return { kind: 'refused', error: verdict.error };
    return { kind: 'reserved', id: idOf.get(one) ?? 0, prepared: request.prepared };
  });
}

/** What is given again, with its octets, by its row. */
async function findRepeated(
  tx: FleetTx,
  judged: readonly Judged[],
): Promise<(id: number) => CertificateRecord> {
  const devices = judged.flatMap(({ verdict, device }) =>
    verdict.kind === 'repeat' && device ? [device.id] : [],
  );
  const found = devices.length === 0 ? [] : await tx.findByDevices(devices);
  const records = new Map(found.map((record) => [record.id, record]));
  return (id) => {
    const record = records.get(id);
    if (record) return record;
    throw new BirthmarkError('internal', 'a certificate that is to be given again is not there');
  };
}

async function judge(
  tx: FleetTx,
  requests: readonly IdentityRequest[],
  options: RegisterOptions,
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

/** What a certificate that is granted may take the place of; undefined where its device is new. */
function issuingOf({ request, device, issued }: Judged, way: Way): Issuing | undefined {
  if (!device) return undefined;
  const { profile } = request.prepared;
  return {
    device,
    profile: profile.name,
    kind: profile.kind === 'idevid' ? 'idevid' : 'ldevid',
    renewed: request.renewed,
    issued,
    proven: way === 'idevid' || way === 'recoveryTicket',
  };
}

function exhausted(): BirthmarkError {
  return new BirthmarkError(
    'token-exhausted',
    'all that this token or ticket may have issued was issued; ask for another one',
  );
}

/** A repeated answer is no new act. With the state that the device is in from now on, where it is another one. */
function auditOf(
  { request, verdict }: Judged,
  state: DeviceState | undefined,
  { actor, now }: RegisterOptions,
): AuditRecord[] {
  if (verdict.kind === 'repeat') return [];
  const { prepared, device } = request;
  const issued = verdict.kind === 'issue';
  return [
    {
      at: now,
      actor,
      action: 'certificate.issue',
      subject: `device:${deviceName(device)}`,
      outcome: issued ? 'done' : `refused:${verdict.error.code}`,
      facts: issued
        ? {
            ...request.facts,
            profile: prepared.profile.name,
            serial: toHex(prepared.serial),
            ...(state && { state }),
          }
        : { ...request.facts, profile: prepared.profile.name },
    },
  ];
}

function incidentOf({ request, key, verdict }: Judged, { now }: RegisterOptions): Incident[] {
  if (verdict.kind !== 'refuse' || verdict.incident === undefined) return [];
  return [
    {
      at: now,
      kind: verdict.incident,
      subject: `device:${deviceName(request.device)}`,
      facts: { keyHash: toHex(request.keyHash), ownerDeviceId: key?.deviceId ?? 0, owner: key?.holder ?? '' },
    },
  ];
}

function deviceName({ namespace, serialNumber }: DeviceKey): string {
  return `${namespace}/${serialNumber}`;
}
