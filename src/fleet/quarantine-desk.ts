import { LRUCache } from 'lru-cache';
import type { Authorities } from '../ca/authority.ts';
import type { Actor } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { UnitOfWork } from '../core/unit-of-work.ts';
import { gateLimitIncident, MOST_SHUT_OUT, SHUT_OUT_WITHIN_MS } from './gate-limit.ts';
import type { FleetReads, FleetTx } from './ports.ts';
import type { DeviceDesk } from './recovery/device-desk.ts';

/** A device whose behaviour a gate's guard answers with quarantine. */
export interface Misbehaviour {
  /** What it showed, as `SeenCertificate`. */
  readonly issuerKeyId: string;
  readonly serial: string;
  readonly listener: string;
  readonly rule: string;
  readonly behaviour: string;
  readonly count: number;
}

/**
 * `held`: its certificates are on hold now. `already`: they were, or are revoked. `unknown`: no device of ours showed that.
 * `tooMany`: this gate has asked for so many within an hour that a person must look first.
 */
export type QuarantineResult = 'held' | 'already' | 'unknown' | 'tooMany';

/** Puts devices on hold for what a gate saw of them; told again, nothing changes. A result for each, in order. */
export type QuarantineDesk = (
  told: readonly Misbehaviour[],
  actor: Actor,
) => Promise<readonly QuarantineResult[]>;

export interface QuarantineDeskOptions {
  readonly ledger: UnitOfWork<FleetTx, FleetReads>;
  readonly authorities: Authorities;
  readonly deviceDesk: DeviceDesk;
  readonly clock: Clock;
}

export function createQuarantineDesk({
  ledger,
  authorities,
  deviceDesk,
  clock,
}: QuarantineDeskOptions): QuarantineDesk {
  const asked = new LRUCache<Actor, readonly number[]>({ max: 1000 });
  const names = new Map([...authorities.values()].map(({ name, keyId }) => [toHex(keyId), name]));

  /** Only a device: the certificates of authorities, listeners and operators are nothing that a gate may touch. */
  async function find({ issuerKeyId, serial }: Misbehaviour) {
    const record = await ledger.read.findBySerial(Buffer.from(serial, 'hex'));
    if (!record?.signature || record.deviceId === null || names.get(issuerKeyId) !== record.authority)
      return undefined;
    const [device] = await ledger.read.findDevicesById([record.deviceId]);
    return device && { record, device };
  }

  /** Takes one of those that an actor may ask for within an hour. */
  async function take(actor: Actor): Promise<boolean> {
    const now = clock();
    const recent = (asked.get(actor) ?? []).filter((at) => now - at < SHUT_OUT_WITHIN_MS);
    if (recent.length < MOST_SHUT_OUT) {
      asked.set(actor, [...recent, now]);
      if (recent.length + 1 === MOST_SHUT_OUT) await raise(actor, now);
      return true;
    }
    return false;
  }

  async function raise(actor: Actor, at: number): Promise<void> {
    await ledger.write((tx) => tx.appendIncidents([gateLimitIncident(actor, at)]));
  }

  return async (told, actor) => {
    const results: QuarantineResult[] = [];
    for (const one of told) results.push(await quarantine(one, actor));
    return results;
  };

  async function quarantine(told: Misbehaviour, actor: Actor): Promise<QuarantineResult> {
    const found = await find(told);
    if (!found) return 'unknown';
    const { record: certificate, device } = found;
    const [revocation] = await ledger.read.findRevocations([certificate.id]);
    if (revocation || device.state === 'retired') return 'already';
    if (!(await take(actor))) return 'tooMany';
    const { rule, behaviour, listener, count, serial } = told;
    const { namespace, serialNumber } = device;
    const facts = { rule, behaviour, listener, count, serial };
    const subject = `device:${namespace}/${serialNumber}`;
    // First: a crash behind it leaves an incident without a quarantine, and the gate tells it again.
    await ledger.write((tx) => tx.appendIncidents([{ at: clock(), kind: 'misbehaviour', subject, facts }]));
    await deviceDesk('quarantineByGate', { namespace, serialNumber }, actor, facts);
    return 'held';
  }
}
