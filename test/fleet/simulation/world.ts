// A house, its doors and its gates in virtual time. All parts are the real ones; what is the simulation's are time, chance, and
// who can reach whom.
import { madeOf } from '../../../src/ca/authority.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import type { ShownCertificates } from '../../../src/core/shown-certificates.ts';
import { operatorAdmission } from '../../../src/enroll/admission.ts';
import { createChallenges } from '../../../src/enroll/challenge.ts';
import { createConfirmationDesk } from '../../../src/enroll/confirm.ts';
import { createDeviceDoor } from '../../../src/enroll/device-door.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import { createIdentifier } from '../../../src/enroll/identify.ts';
import { findLabel, parseLabels } from '../../../src/enroll/label.ts';
import { DEFAULT_LABEL, DEFAULT_LABELS } from '../../../src/enroll/label-config.ts';
import { renewalOf, renewalOfNew } from '../../../src/fleet/renewal/renewal-desk.ts';
import type { RenewalWindow } from '../../../src/fleet/renewal/window.ts';
import { retireDue } from '../../../src/fleet/rotation/retire-due.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encodeName } from '../../../src/x509/name.ts';
import {
  granted,
  KEY_LIMITS,
  newCsr,
  only,
  openTestHouse,
  seededRandom,
  type TestHouse,
} from '../../house.ts';
import { type SampleKey, sampleCsr } from '../../x509/samples.ts';
import type { Chance } from './chance.ts';
import { type Credential, toCredential } from './credential.ts';
import { type Gates, openGates } from './gates.ts';
import { openLockstep } from './lockstep.ts';
import type { Span } from './spans.ts';

/** What comes of coming to a door: a credential and when to renew it, or why not. */
export type Answer = Issued | 'unreachable' | BirthmarkError['code'];

export interface Issued {
  readonly credential: Credential;
  readonly window: RenewalWindow;
  /** Of the issuing authority, DER. */
  readonly issuer: Uint8Array;
}

/** A week without an authority fits between the end of the renewal windows (four fifths) and the end of the validity. */
const LDEVID_DAYS = 40;
const GRACE_DAYS = 5;
/** So often reports of gates arrive, and rotations that are over end. */
const UPKEEP_MS = 2 * 3_600_000;
const EMPTY = encodeName([]);

export interface Newborn {
  readonly name: string;
  readonly key: SampleKey;
  readonly batch: string;
}

export interface World extends Disposable {
  readonly house: TestHouse;
  readonly gates: Gates;
  now(): number;
  /** Goes on to a time; once in a while gates tell what they saw, and rotations that are over end. */
  advance(to: number): Promise<void>;
  /** Whether the doors can be reached. */
  readonly up: boolean;
  goDown(): void;
  comeUp(): void;
  /** When the doors could not be reached. */
  readonly outages: readonly Span[];
  /** Who answers at the doors. */
  readonly server: ShownServer;
  /** When what was left of an old generation was taken back, and its name, DER in hexadecimal. */
  retired: { readonly at: number; readonly issuer: string } | undefined;
  /** Lets lives go on, which may wait for what is below and for nothing else. */
  run(lives: readonly (() => Promise<void>)[]): Promise<void>;
  /** Gives devices their IDevIDs, as a factory does. */
  born(devices: readonly Newborn[]): Promise<readonly Credential[]>;
  enroll(by: Credential, key: SampleKey): Promise<Answer>;
  renew(by: Credential, key: SampleKey): Promise<Answer>;
  /** Says that a new credential works (`/api/v1/confirmations`). */
  confirm(by: Credential): Promise<void>;
  /** What `renewal-info` says of it. */
  windowOf(credential: Credential): Promise<RenewalWindow | undefined>;
  /** What EST cacerts says; the same list until it changes. */
  caCertificates(): readonly Uint8Array[];
}

/** What the server shows in its handshakes. */
export interface ShownServer extends ShownCertificates {
  readonly goodUntil: number;
}

/** Where the doors are. */
export const PLACE = { host: 'pki.lab.example', port: 8443 } as const;
/** The story is the same whenever it is told. */
const BEGINNING = Date.UTC(2027, 0, 1);

/** @param seed of serial numbers */
export async function openWorld(seed: number, chance: Chance): Promise<World> {
  const house = await openTestHouse({
    shards: 16,
    profiles: { ldevid: { validityDays: LDEVID_DAYS } },
    random: seededRandom(`simulation ${seed}`),
    beginning: BEGINNING,
  });
  const { ledger, clock, guardedClock, authorities, roster, issuing, enroll, uses, crls } = house;
  const labels = parseLabels(
    { [DEFAULT_LABEL]: { ...only(Object.values(DEFAULT_LABELS)), renewalGraceDays: GRACE_DAYS } },
    [issuing.profile('idevid'), issuing.profile('ldevid')],
  );
  const label = findLabel(labels);
  const identify = createIdentifier({ ledger, authorities, issuing });
  const door = createDeviceDoor({ ledger, enroll, identify, uses, clock: guardedClock });
  const desk = createConfirmationDesk({
    ledger,
    uses,
    idevidProfiles: issuing.idevidProfiles,
    keyLimits: KEY_LIMITS,
    challenges: createChallenges(house.random(32), clock.now, 'confirmation'),
    clock: guardedClock,
  });
  const lockstep = openLockstep();
  const gates = await openGates(house, chance);
  const caCertificates = madeOf(roster.authorities, () => issuing.caCertificates('ldevid'));
  const server = await certifyServer(house);
  const outages: Span[] = [];
  let downSince: number | undefined;
  let upkeepAt = clock.now();

  async function come(operation: 'enroll' | 'reenroll', by: Credential, key: SampleKey): Promise<Answer> {
    if (downSince !== undefined) return 'unreachable';
    const csr = sampleCsr(key, { subject: operation === 'reenroll' ? by.subject : EMPTY });
    const peer = { certificate: { leaf: by.certificate, chain: [], via: 'tls' } } as const;
    try {
      return toAnswer(await door.enroll({ label, operation, csr, peer, door: 'est', bound: false }), key);
    } catch (error) {
      if (error instanceof BirthmarkError) return error.code;
      throw error;
    }
  }

  function toAnswer({ certificate, chain, fresh, serial }: EnrollmentResult, key: SampleKey) {
    const credential = toCredential(certificate, key);
    const { notBefore, notAfter } = credential;
    // What was issued before is told by its own dates, as a new one is.
    const authority = fresh?.authority ?? roster.current('ldevid');
    const told =
      authority && renewalOfNew(house.renewal, { authority, profile: 'ldevid', serial, notBefore, notAfter });
    const [issuer] = chain;
    if (!told || !issuer)
      throw new Error('a certificate came without a renewal window, or without its issuer');
    return { credential, window: told.window, issuer };
  }

  async function upkeep(): Promise<void> {
    if (clock.now() < upkeepAt) return;
    await gates.tell();
    await retireDue({
      ledger,
      crls,
      idevidProfiles: issuing.idevidProfiles,
      clock: clock.now,
      onUnpublished,
    });
    upkeepAt = clock.now() + UPKEEP_MS;
  }

  return {
    house,
    gates,
    outages,
    server,
    retired: undefined,
    get up() {
      return downSince === undefined;
    },
    goDown() {
      downSince = clock.now();
    },
    comeUp() {
      if (downSince !== undefined) outages.push({ from: downSince, until: clock.now() });
      downSince = undefined;
    },
    now: clock.now,
    async advance(to) {
      clock.pass(Math.max(0, to - clock.now()));
      if (downSince !== undefined) return;
      await upkeep();
    },
    async born(devices) {
      const requests = devices.map(({ name, key, batch }) =>
        house.request(name, { csr: sampleCsr(key, { subject: EMPTY }), batch }),
      );
      const results = await enroll(requests, operatorAdmission('operator:line'));
      return devices.map(({ key }, at) => toCredential(granted(results[at]).certificate, key));
    },
    run: lockstep.run,
    enroll: (by, key) => lockstep.ask(() => come('enroll', by, key)),
    renew: (by, key) => lockstep.ask(() => come('reenroll', by, key)),
    confirm: ({ key }) =>
      lockstep.ask(async () => {
        const { challenge } = desk.challenge();
        const subject = encodeName([{ type: 'CN', value: challenge }]);
        await desk.confirm(sampleCsr(key, { subject }), () => Promise.resolve());
      }),
    windowOf: ({ serial }) =>
      lockstep.ask(async () => (await renewalOf(house.renewal, Buffer.from(serial, 'hex')))?.window),
    caCertificates,
    [Symbol.dispose]: () => house[Symbol.dispose](),
  };
}

async function certifyServer({ issueService, issuing }: TestHouse): Promise<ShownServer> {
  const { certificate, chain } = await issueService(
    { profile: issuing.profile('server'), csr: newCsr(), name: PLACE.host, dns: [PLACE.host], ip: [] },
    'system',
  );
  return { leaf: certificate, chain, goodUntil: parseCertificate(certificate).tbs.notAfter.at };
}

function onUnpublished(error: unknown): never {
  throw error;
}
