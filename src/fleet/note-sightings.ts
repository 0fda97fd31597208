import type { Authorities } from '../ca/authority.ts';
import type { Actor, AuditRecord } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { UnitOfWork } from '../core/unit-of-work.ts';
import type { FleetReads, FleetTx } from './ports.ts';

/** A certificate as a gate knows it. */
export interface SeenCertificate {
  /** Of the key that signed it, hexadecimal. */
  readonly issuerKeyId: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** Milliseconds since the epoch, by the gate's clock. */
  readonly at: number;
}

export interface Sightings {
  /** Was let in. */
  readonly seen: readonly (SeenCertificate & { readonly listener: string })[];
  /** Its revocation or hold is enforced: it has no session any more, and gets none. */
  readonly enforced: readonly SeenCertificate[];
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
  readonly clock: Clock;
}

/** Keeps the first sight of each certificate and the first enforcement of each revocation; told again, nothing changes. */
export async function noteSightings(
  { ledger, authorities, clock }: NoteSightingsOptions,
  { seen, enforced }: Sightings,
  actor: Actor,
): Promise<NotedSightings> {
  const now = clock();
  const names = new Map([...authorities.values()].map(({ name, keyId }) => [toHex(keyId), name]));
  const find = async <T extends SeenCertificate>(told: readonly T[]) => {
    const records = await ledger.read.findIssued(told.map(({ serial }) => Buffer.from(serial, 'hex')));
    return told.flatMap((one, at) => {
      const record = records[at];
      return record && names.get(one.issuerKeyId) === record.authority ? [{ id: record.id, told: one }] : [];
    });
  };
  const [inUse, ended] = [await find(seen), await find(enforced)];
  // A gate whose clock is ahead must not write into the future.
  const sightings = inUse.map(({ id, told: { at, listener } }) => ({
    id,
    seenAt: Math.min(at, now),
    lastSeenAt: Math.min(at, now),
    listener,
    toldBy: actor,
  }));
  const news = await ledger.write(async (tx) => {
    const first = await tx.addSightings(sightings);
    const enforcedNow = await tx.noteEnforced(
      ended.map(({ id, told: { at } }) => ({ id, at: Math.min(at, now) })),
    );
    const serials = new Map(
      [...inUse, ...ended].map(({ id, told: { serial } }) => [id, serial.toLowerCase()]),
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
  return { ...news, unknown: seen.length + enforced.length - inUse.length - ended.length };
}
