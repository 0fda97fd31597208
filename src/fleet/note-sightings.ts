import type { Authorities } from '../ca/authority.ts';
import type { IssuedCertificate } from '../ca/ports.ts';
import type { Actor, AuditRecord } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { UnitOfWork } from '../core/unit-of-work.ts';
import type { FleetReads, FleetTx, Sighting } from './ports.ts';
import type { UseNoter } from './rotation/note-use.ts';
import type { Use } from './rotation/plan-uses.ts';
import { settleDevices } from './settle-devices.ts';

/** A certificate as a gate knows it. */
export interface SeenCertificate {
  /** Of the key that signed it, hexadecimal. */
  readonly issuerKeyId: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** Milliseconds since the epoch, by the gate's clock. */
  readonly at: number;
}

export interface SeenAtListener extends SeenCertificate {
  readonly listener: string;
}

export interface Sightings {
  /** Was let in. */
  readonly seen: readonly SeenAtListener[];
  /** Its revocation or hold is enforced: it has no session any more, and gets none. */
  readonly enforced: readonly SeenCertificate[];
  /** Proved its key and was denied, because it was taken back. */
  readonly refused?: readonly SeenAtListener[];
  /** What the gate's clock says as it tells: where it is wrong, all its times are wrong by as much. */
  readonly sentAt?: number;
}

/** How many were news. */
export interface NotedSightings {
  readonly seen: number;
  readonly enforced: number;
  /** Of no certificate of ours: passed over. */
  readonly unknown: number;
}

export interface NoteSightingsOptions {
  readonly ledger: UnitOfWork<FleetTx, FleetReads>;
  readonly authorities: Authorities;
  readonly uses: UseNoter;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly clock: Clock;
}

/** How much later a certificate must be seen again for that to be written down. */
const SEEN_AGAIN_MS = 86_400_000;

interface Found<T extends SeenCertificate> {
  readonly record: IssuedCertificate;
  readonly told: T;
  /** By our clock. */
  readonly at: number;
}

/**
 * Keeps the first sight of each certificate, the first enforcement of each revocation, and what uses mean for rotations. Told
 * again, nothing changes, and nothing is written.
 */
export async function noteSightings(
  { ledger, authorities, uses, idevidProfiles, clock }: NoteSightingsOptions,
  { seen, enforced, refused = [], sentAt }: Sightings,
  actor: Actor,
): Promise<NotedSightings> {
  const now = clock();
  const ahead = sentAt === undefined ? 0 : sentAt - now;
  const names = new Map([...authorities.values()].map(({ name, keyId }) => [toHex(keyId), name]));
  const find = async <T extends SeenCertificate>(told: readonly T[]) => {
    const records = await ledger.read.findIssued(told.map(({ serial }) => Buffer.from(serial, 'hex')));
    return told.flatMap((one, at): Found<T>[] => {
      const record = records[at];
      if (record === undefined || names.get(one.issuerKeyId) !== record.authority) return [];
      // A gate whose clock is ahead must not write into the future.
      return [{ record, told: one, at: Math.min(one.at - ahead, now) }];
    });
  };
  const [inUse, ended, turnedAway] = [await find(seen), await find(enforced), await find(refused)];
  const sightings = inUse.map(({ record: { id }, told: { listener }, at }): Sighting => {
    return { id, seenAt: at, lastSeenAt: at, listener, toldBy: actor };
  });
  const of = (found: readonly Found<SeenAtListener>[], isRefused: boolean) =>
    found.map(({ record, told, at }) => ({
      use: { certificateId: record.id, at, ...(isRefused && { refused: true }) } satisfies Use,
      place: told.listener,
    }));
  const used = [...of(inUse, false), ...of(turnedAway, true)];
  const told = {
    unknown: seen.length + enforced.length + refused.length - inUse.length - ended.length - turnedAway.length,
  };
  if (!(await isNews())) return { seen: 0, enforced: 0, ...told };

  const news = await ledger.write(async (tx) => {
    const first = await tx.addSightings(sightings);
    const settled = new Set<number>();
    for (const [place, some] of Map.groupBy(used, (one) => one.place)) {
      const noted = await uses.note(
        tx,
        some.map(({ use }) => use),
        { actor, place, byGate: true, now },
      );
      for (const { deviceId } of noted.used) settled.add(deviceId);
    }
    const firstIds = new Set(first.map(({ id }) => id));
    const devices = inUse.flatMap(({ record: { id, deviceId } }) =>
      firstIds.has(id) && deviceId !== null && !settled.has(deviceId) ? [deviceId] : [],
    );
    await settleDevices(tx, [...new Set(devices)], { idevidProfiles, actor, cause: 'seen', now });
    const enforcedNow = await tx.noteEnforced(ended.map(({ record: { id }, at }) => ({ id, at })));
    const serials = new Map(
      [...inUse, ...ended].map(({ record: { id }, told: { serial } }) => [id, serial.toLowerCase()]),
    );
    const act = (action: string, id: number, facts: AuditRecord['facts'] = {}): AuditRecord => ({
      at: now,
      actor,
      action,
      subject: `certificate:${serials.get(id)}`,
      outcome: 'done',
      facts,
    });
    const acts = [
      ...first.map(({ id, listener }) => act('certificate.seen', id, { listener })),
      ...enforcedNow.map((id) => act('revocation.enforced', id)),
    ];
    if (acts.length > 0) await tx.appendAudit(acts);
    return { seen: first.length, enforced: enforcedNow.length };
  });
  return { ...news, ...told };

  async function isNews(): Promise<boolean> {
    const known = await ledger.read.findSightings(sightings.map(({ id }) => id));
    if (sightings.some(({ seenAt }, at) => isOld(known[at], seenAt))) return true;
    const revocations = await ledger.read.findRevocations(ended.map(({ record: { id } }) => id));
    if (revocations.some((one) => one && one.enforcedAt === undefined)) return true;
    return uses.isNews(
      ledger.read,
      used.map(({ use }) => use),
      now,
    );
  }
}

function isOld(known: Sighting | undefined, seenAt: number): boolean {
  return !known || seenAt - known.lastSeenAt >= SEEN_AGAIN_MS;
}
