import { type Decision, toReservation } from '../ca/issue.ts';
import type { CertificateRecord } from '../ca/ports.ts';
import type { Actor, AuditRecord, Incident } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { type IdentityRequest, type Judged, type JudgeOptions, judgeIdentities } from './judge-identities.ts';
import type { Way } from './life.ts';
import type { DeviceKey, DeviceState, FleetTx } from './ports.ts';
import { recordDevices } from './record-devices.ts';
import { findSuccessions, type Issuing, noteIssued } from './rotation/note-issued.ts';

export interface RegisterOptions extends JudgeOptions {
  readonly actor: Actor;
  /** Who vouches, as the certificate's record keeps it. */
  readonly vouchedBy: string;
  /** Certificates of a device that nobody has seen in use, see `RotationPolicy`. */
  readonly maxUnseen: number;
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

async function registerRound(
  tx: FleetTx,
  requests: readonly IdentityRequest[],
  options: RegisterOptions,
): Promise<Decision[]> {
  const { judged, revocations } = await judgeIdentities(tx, requests, options);
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
