import type { CertificateFacts } from '../ca/ports.ts';
import type { RevocationReason, RevocationRecord } from '../ca/revocation/ports.ts';
import type { Actor } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { FleetReads, FleetTx } from './ports.ts';
import { vouchedFor } from './select-certificates.ts';
import { settleDevices } from './settle-devices.ts';

/** What is to become of certificates, and why. Times in milliseconds since the epoch. */
export interface StatusOrder {
  readonly act: 'revoke' | 'hold' | 'release';
  /** Of revoke; undefined: unspecified. */
  readonly reason?: RevocationReason;
  /** Since when the key may have been in other hands. */
  readonly invalidityAt?: number;
  readonly discoveredAt: number;
  readonly decidedAt: number;
  /**
   * Whether what a certificate vouched for goes with it. Not said: with an IDevID whose key is compromised, since who
   * has that key could have enrolled with it; otherwise not.
   */
  readonly cascade?: boolean;
}

export interface OrderedBy {
  readonly actor: Actor;
  /** How the certificates were chosen, see `describeSelector`. */
  readonly by: string;
  readonly now: number;
}

/** What an order does to some certificates. */
export interface StatusPlan {
  readonly change: readonly PlannedChange[];
  /** They are so already. */
  readonly unchanged: readonly CertificateFacts[];
  /** They cannot become so: what is revoked is never good again. */
  readonly final: readonly CertificateFacts[];
}

interface PlannedChange {
  readonly certificate: CertificateFacts;
  readonly before: RevocationRecord | undefined;
}

/** Adds what goes along with these certificates under an order. */
async function withCascade(
  reads: FleetReads,
  certificates: readonly CertificateFacts[],
  { act, reason, cascade }: StatusOrder,
  idevidProfiles: ReadonlySet<string>,
): Promise<readonly CertificateFacts[]> {
  if (cascade === false) return certificates;
  const all = cascade === true;
  const byDefault = act === 'revoke' && reason === 'keyCompromise';
  const vouchers = certificates.filter(({ profile }) => all || (byDefault && idevidProfiles.has(profile)));
  if (vouchers.length === 0) return certificates;
  const known = new Set(certificates.map(({ id }) => id));
  return [...certificates, ...(await vouchedFor(reads, vouchers)).filter(({ id }) => !known.has(id))];
}

/** Finds out what an order does, without doing it. */
export async function planStatuses(
  reads: FleetReads,
  chosen: readonly CertificateFacts[],
  order: StatusOrder,
  idevidProfiles: ReadonlySet<string>,
): Promise<StatusPlan> {
  const certificates = await withCascade(reads, chosen, order, idevidProfiles);
  const revocations = await reads.findRevocations(certificates.map(({ id }) => id));
  const change: PlannedChange[] = [];
  const unchanged: CertificateFacts[] = [];
  const final: CertificateFacts[] = [];
  for (const [at, certificate] of certificates.entries()) {
    const before = revocations[at];
    const verdict = judge(before, order);
    if (verdict === 'change') change.push({ certificate, before });
    else (verdict === 'final' ? final : unchanged).push(certificate);
  }
  return { change, unchanged, final };
}

function judge(
  before: RevocationRecord | undefined,
  { act, reason }: StatusOrder,
): 'change' | 'unchanged' | 'final' {
  if (act === 'release') {
    if (!before) return 'unchanged';
    return before.held ? 'change' : 'final';
  }
  if (!before) return 'change';
  if (act === 'hold') return 'unchanged';
  // That a key got out may be found after its certificate was taken back for less; nothing else changes a reason.
  const graver = reason === 'keyCompromise' && before.reason !== 'keyCompromise';
  return before.held || graver ? 'change' : 'unchanged';
}

/**
 * Does what an order says to these certificates, within one unit of work: their status, the block list, the audit record.
 *
 * @returns what was done
 */
export async function changeStatuses(
  tx: FleetTx,
  chosen: readonly CertificateFacts[],
  order: StatusOrder,
  idevidProfiles: ReadonlySet<string>,
  ordered: OrderedBy,
): Promise<StatusPlan> {
  const plan = await planStatuses(tx, chosen, order, idevidProfiles);
  const { act, reason } = order;
  const { actor, by, now } = ordered;
  if (act === 'release')
    await tx.releaseHolds(
      plan.change.map(({ certificate }) => certificate.id),
      now,
    );
  else await tx.putRevocations(plan.change.map((one) => toRevocation(one, order, ordered)));
  const compromised =
    reason === 'keyCompromise' ? [...plan.change.map((one) => one.certificate), ...plan.unchanged] : [];
  for (const { keyHash, serial } of compromised)
    await tx.blockKey(keyHash, `certificate ${toHex(serial)} was revoked for keyCompromise`, now);
  await tx.appendAudit(
    plan.change.map(({ certificate }) => ({
      at: now,
      actor,
      action: `certificate.${act}`,
      subject: `certificate:${toHex(certificate.serial)}`,
      outcome: 'done',
      facts: { by, holder: certificate.holder, ...(act === 'revoke' && { reason: reason ?? 'unspecified' }) },
    })),
  );
  const devices = new Set(plan.change.flatMap(({ certificate: { deviceId } }) => deviceId ?? []));
  await settleDevices(tx, [...devices], {
    idevidProfiles,
    actor,
    cause: `${act === 'revoke' ? (reason ?? 'unspecified') : act} by ${by}`,
    now,
    compromised: reason === 'keyCompromise',
  });
  return plan;
}

function toRevocation(
  { certificate, before }: PlannedChange,
  { act, reason, invalidityAt, discoveredAt, decidedAt }: StatusOrder,
  { actor, now }: OrderedBy,
): RevocationRecord {
  const { id, serial, authority, shard, notAfter } = certificate;
  const since = invalidityAt ?? before?.invalidityAt;
  return {
    id,
    serial,
    authority,
    shard,
    notAfter,
    ...(reason && { reason }),
    held: act === 'hold',
    // Whole seconds, as lists and answers say it.
    revokedAt: before?.revokedAt ?? Math.floor(now / 1000) * 1000,
    ...(since !== undefined && { invalidityAt: since }),
    discoveredAt,
    decidedAt,
    recordedAt: now,
    // First times: who enforced the hold enforces the revocation.
    ...(before?.publishedAt !== undefined && { publishedAt: before.publishedAt }),
    ...(before?.enforcedAt !== undefined && { enforcedAt: before.enforcedAt }),
    by: actor,
  };
}
