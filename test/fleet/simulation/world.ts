// A house, its doors and its gates in virtual time. All parts are the real ones; what is the simulation's are time, chance, and
// who can reach whom.
import { createDecider } from '../../../src/broker-auth/decide.ts';
import { createCredentialJudge } from '../../../src/broker-auth/judge-credential.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import { readFeedEvents } from '../../../src/broker-auth/status/feed-events.ts';
import type { ReadSnapshot } from '../../../src/broker-auth/status/read-snapshot.ts';
import { StatusTable } from '../../../src/broker-auth/status/status-table.ts';
import { tableSource } from '../../../src/broker-auth/status/table-source.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { OWN_NAMESPACE } from '../../../src/core/identifiers.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { operatorAdmission } from '../../../src/enroll/admission.ts';
import { createDeviceDoor } from '../../../src/enroll/device-door.ts';
import { createIdentifier } from '../../../src/enroll/identify.ts';
import { findLabel, parseLabels } from '../../../src/enroll/label.ts';
import { DEFAULT_LABEL, DEFAULT_LABELS } from '../../../src/enroll/label-config.ts';
import {
  type NoteSightingsOptions,
  noteSightings,
  type Sightings,
} from '../../../src/fleet/note-sightings.ts';
import { windowOf } from '../../../src/fleet/renewal/window.ts';
import { retireDue } from '../../../src/fleet/rotation/retire-due.ts';
import { createChangePages } from '../../../src/server/status/change-pages.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { hashKey } from '../../../src/x509/public-key.ts';
import { granted, only, openTestHouse, type TestHouse } from '../../house.ts';
import { type SampleKey, sampleCsr } from '../../x509/samples.ts';
import type { Chance } from './chance.ts';

export interface Credential {
  readonly key: SampleKey;
  readonly certificate: Buffer;
  /** Hexadecimal. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What comes of coming to a door: a credential, or why not. */
export type Answer = Credential | 'unreachable' | BirthmarkError['code'];

const LDEVID_DAYS = 30;
/** The last of the gates never tells anybody what it sees. */
export const GATES = 4;
const MUTE_GATE = GATES - 1;
const HOUR_MS = 3_600_000;
const UPKEEP_EVERY_MS = 6 * HOUR_MS;
const TOLD_AT_ONCE = 250;
const EMPTY = encodeName([]);

export interface Newborn {
  readonly name: string;
  readonly key: SampleKey;
  readonly batch: string;
}

export interface World extends Disposable {
  readonly house: TestHouse;
  now(): number;
  /** Goes on to a time: gates tell what they saw, rotations that are over end. */
  advance(to: number): Promise<void>;
  /** Whether the doors can be reached. */
  up: boolean;
  /** Gives devices their IDevIDs, as a factory does. */
  born(devices: readonly Newborn[]): Promise<readonly Credential[]>;
  enroll(by: Credential, key: SampleKey): Promise<Answer>;
  renew(by: Credential, key: SampleKey): Promise<Answer>;
  /** `ok`, or why the gate denies it. */
  connect(by: Credential, name: string, gate: number): string;
  /** From when on the server wants it renewed. */
  renewsFrom(credential: Credential): number;
  /** What was recorded is at the gates from now on. */
  syncGates(): Promise<void>;
}

export async function openWorld(chance: Chance): Promise<World> {
  const house = await openTestHouse({
    shards: 16,
    profiles: { ldevid: { validityDays: LDEVID_DAYS } },
    rotation: { graceMs: 12 * HOUR_MS },
  });
  const { ledger, clock, guardedClock, authorities, issuing, enroll, uses, crls } = house;
  const labels = parseLabels(
    { [DEFAULT_LABEL]: { ...only(Object.values(DEFAULT_LABELS)), renewalGraceDays: 60 } },
    [issuing.profile('idevid'), issuing.profile('ldevid')],
  );
  const label = findLabel(labels);
  const identify = createIdentifier({ ledger, authorities, issuing });
  const door = createDeviceDoor({ ledger, enroll, identify, uses, clock: guardedClock });

  const steady = createSteadyClock(clock.now, clock.now);
  const epoch = await ledger.read.statusEpoch();
  const table = new StatusTable({ epoch, sequence: 0 }, steady.now());
  const pages = createChangePages({ ledger: ledger.read, authorities, clock: clock.now });
  const all = [...authorities.values()];
  const header: ReadSnapshot['header'] = {
    format: 'birthmark-status-snapshot',
    version: 1,
    epoch,
    sequence: 0,
    issuedAt: new Date(clock.now()).toISOString(),
    validUntil: new Date(clock.now()).toISOString(),
    endedBefore: new Date(0).toISOString(),
    authorities: all.map(({ name, keyId, certificate }) => ({
      name,
      issuerKeyId: toHex(keyId),
      keyHash: toHex(hashKey(certificate.tbs.spki)),
    })),
  };
  const trust = [
    {
      namespace: OWN_NAMESPACE,
      anchors: all.filter(({ isRoot }) => isRoot).map(({ certificate }) => certificate.raw),
      intermediates: all.filter(({ isRoot }) => !isRoot).map(({ certificate }) => certificate.raw),
    },
  ];
  const decide = createDecider({
    policy: parsePolicy(
      {
        listeners: { mqtt: { preset: 'private-network' } },
        roles: [{ name: 'device', publish: ['devices/#'] }],
      },
      trust,
    ),
    judge: createCredentialJudge({
      trust,
      sources: [tableSource(() => ({ header, table }), steady)],
      remembered: 50_000,
    }),
    hasOtherSession: () => false,
    random: (size) => new Uint8Array(size),
  });

  /** What gates are about to tell, by the time that it arrives. */
  let telling: { readonly arrives: number; readonly seen: Sightings['seen'][number] }[] = [];
  let upkeepAt = clock.now();
  const sightingOptions: NoteSightingsOptions = {
    ledger,
    authorities,
    uses,
    idevidProfiles: issuing.idevidProfiles,
    clock: clock.now,
  };

  async function syncGates(): Promise<void> {
    const last = await ledger.read.lastStatusChange();
    while (table.position.sequence < last) {
      const { text } = await pages(table.position.sequence, epoch, last);
      for await (const event of readFeedEvents(once(Buffer.from(text))))
        if (event?.kind === 'change') table.apply(event.change);
    }
    table.confirm({ epoch, sequence: last }, steady.now());
  }

  async function tell(): Promise<void> {
    const arrived = telling.filter(({ arrives }) => arrives <= clock.now());
    telling = telling.filter(({ arrives }) => arrives > clock.now());
    for (let at = 0; at < arrived.length; at += TOLD_AT_ONCE)
      await noteSightings(
        sightingOptions,
        { seen: arrived.slice(at, at + TOLD_AT_ONCE).map(({ seen }) => seen), enforced: [] },
        'token:gate',
      );
  }

  async function come(operation: 'enroll' | 'reenroll', by: Credential, key: SampleKey): Promise<Answer> {
    if (!world.up) return 'unreachable';
    const { subject } = parseCertificate(by.certificate).tbs;
    const csr = operation === 'reenroll' ? sampleCsr(key, { subject }) : sampleCsr(key, { subject: EMPTY });
    try {
      const { certificate } = await door.enroll({
        label,
        operation,
        csr,
        peer: { certificate: { leaf: by.certificate, chain: [], via: 'tls' } },
        door: 'est',
        bound: false,
      });
      return toCredential(certificate, key);
    } catch (error) {
      if (error instanceof BirthmarkError) return error.code;
      throw error;
    }
  }

  const world: World = {
    house,
    up: true,
    now: clock.now,
    async advance(to) {
      clock.pass(Math.max(0, to - clock.now()));
      if (!world.up) return;
      await tell();
      if (clock.now() >= upkeepAt) {
        await retireDue({
          ledger,
          crls,
          idevidProfiles: issuing.idevidProfiles,
          clock: clock.now,
          onUnpublished,
        });
        upkeepAt = clock.now() + UPKEEP_EVERY_MS;
      }
      await syncGates();
    },
    async born(devices) {
      const requests = devices.map(({ name, key, batch }) =>
        house.request(name, { csr: sampleCsr(key, { subject: EMPTY }), batch }),
      );
      const results = await enroll(requests, operatorAdmission('operator:line'));
      return devices.map(({ key }, at) => {
        const result = results[at];
        return toCredential(granted(result).certificate, key);
      });
    },
    enroll: (by, key) => come('enroll', by, key),
    renew: (by, key) => come('reenroll', by, key),
    connect(by, name, gate) {
      const evidence = { level: 'certificate', leaf: by.certificate, chain: [] } as const;
      const verdict = decide({ listener: 'mqtt', clientId: name, evidence }, clock.now());
      const { credential } = verdict;
      if (verdict.allow && credential && gate !== MUTE_GATE) {
        const { issuerKeyId, serial } = credential;
        const seen = { issuerKeyId, serial, at: clock.now(), listener: 'mqtt' };
        telling.push({ arrives: clock.now() + chance.between(1000, HOUR_MS / 2), seen });
      }
      return verdict.allow ? 'ok' : verdict.reason;
    },
    renewsFrom: ({ serial, notBefore, notAfter }) =>
      windowOf({ serial: Buffer.from(serial, 'hex'), notBefore, notAfter }, house.rotation.window).start,
    syncGates,
    [Symbol.dispose]: () => house[Symbol.dispose](),
  };
  return world;
}

async function* once(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield octets;
}

function onUnpublished(error: unknown): never {
  throw error;
}

function toCredential(certificate: Buffer, key: SampleKey): Credential {
  const { tbs } = parseCertificate(certificate);
  return {
    key,
    certificate,
    serial: toHex(tbs.serial),
    notBefore: tbs.notBefore.at,
    notAfter: tbs.notAfter.at,
  };
}
