// A whole house in memory: real ledger, real keys, real authorities; time and chance are the test's.
import { hash } from 'node:crypto';
import type { Authorities } from '../src/ca/authority.ts';
import type { CrlRoom } from '../src/ca/crl/room.ts';
import { guardClock } from '../src/ca/guarded-clock.ts';
import { type AuthorityPlan, createHierarchy } from '../src/ca/hierarchy.ts';
import { createIssuingRoom, type IssuingRoom } from '../src/ca/issuing-room.ts';
import { createOcspResponder, type OcspResponder } from '../src/ca/ocsp/responder.ts';
import { DEFAULT_OCSP, parseOcspPolicy } from '../src/ca/ocsp/settings.ts';
import { newOcspTally } from '../src/ca/ocsp/sign-answer.ts';
import { parseProfile } from '../src/ca/parse-profile.ts';
import type { AuthorityRecord } from '../src/ca/ports.ts';
import { defaultProfiles, type ProfileConfig } from '../src/ca/profile-config.ts';
import { publishDueCrls } from '../src/ca/publish-due-crls.ts';
import { publishedUrls } from '../src/ca/published-urls.ts';
import type { RolloverRoom } from '../src/ca/rollover/room.ts';
import { openRoster, type Roster } from '../src/ca/roster.ts';
import { createStanding, type Standing } from '../src/ca/standing.ts';
import type { Clock } from '../src/core/clock.ts';
import { BirthmarkError } from '../src/core/errors.ts';
import { OWN_NAMESPACE } from '../src/core/identifiers.ts';
import type { RandomBytes } from '../src/core/random.ts';
import { operatorAdmission } from '../src/enroll/admission.ts';
import type { WatchedUses } from '../src/enroll/certificate-admission.ts';
import {
  createEnroller,
  type Enroller,
  type EnrollmentRequest,
  type EnrollmentResult,
} from '../src/enroll/enroller.ts';
import type { KeyLimits } from '../src/enroll/examine.ts';
import type { Ledger } from '../src/enroll/ports.ts';
import { createServiceIssuer, type ServiceIssuer } from '../src/enroll/service-issuer.ts';
import type { HardwareModule } from '../src/fleet/ports.ts';
import { createDeviceDesk, type DeviceDesk } from '../src/fleet/recovery/device-desk.ts';
import type { RenewalDesk } from '../src/fleet/renewal/renewal-desk.ts';
import { createRevoker, type Revoker } from '../src/fleet/revoker.ts';
import { createUseNoter, type UseNoter } from '../src/fleet/rotation/note-use.ts';
import { DEFAULT_ROTATION, parseRotation, type RotationPolicy } from '../src/fleet/rotation/settings.ts';
import { createFileSigner } from '../src/keys/file-signer.ts';
import { type AuthorityKeyAlgorithm, generateKey } from '../src/keys/key-algorithm.ts';
import type { Signer } from '../src/keys/signer.ts';
import { openLedger, type SqliteLedger } from '../src/store/sqlite/open-ledger.ts';
import { type Der, encode, sequence, setOf } from '../src/x509/der/encode.ts';
import { oid } from '../src/x509/der/values.ts';
import { type Attribute, encodeName } from '../src/x509/name.ts';
import { type KeyKind, type SampleKey, sampleCsr, sampleKey } from './x509/samples.ts';

export const DAY_MS = 86_400_000;
/** When houses begin: yesterday, so that other programs on this machine find the certificates valid. */
export const BEGINNING = (Math.floor(Date.now() / DAY_MS) - 1) * DAY_MS;
export const PUBLIC_URL = 'http://pki.lab.example';
const ORGANIZATION = 'Lab';
export const KEY_LIMITS: KeyLimits = { minRsaBits: 2048, maxRsaBits: 4096, fermatRounds: 100 };

/** A clock that stands still until it is told to go. */
export interface TestClock {
  readonly now: Clock;
  /** Goes on, or back, by so many milliseconds. */
  pass(milliseconds: number): void;
}

export interface TestHouseOptions {
  /** Members that differ from `defaultProfiles`, by profile; a name that is not there is a copy of `idevid`. */
  readonly profiles?: Readonly<Record<string, Partial<ProfileConfig>>>;
  readonly algorithm?: AuthorityKeyAlgorithm;
  readonly shards?: number;
  /** What differs from the usual policy. */
  readonly rotation?: Partial<RotationPolicy>;
  readonly random?: RandomBytes;
  /** The ledger's file; in memory by default. */
  readonly path?: string;
  /** The record beside it; none by default. */
  readonly record?: string;
  /** One that another house went by before. */
  readonly clock?: TestClock;
  /** When its authorities were made, and its clock begins where it has none. */
  readonly beginning?: number;
  /** Wraps the ledger that issuance writes to, to make one call of it fail. */
  readonly faulty?: (ledger: Ledger) => Ledger;
}

/** Who asks for what; the rest is as one would expect. */
export interface Asking {
  readonly key?: SampleKey;
  readonly csr?: Uint8Array;
  readonly profile?: string;
  readonly namespace?: string;
  readonly model?: string;
  readonly batch?: string;
  readonly hardware?: HardwareModule;
}

export interface TestHouse extends Disposable {
  readonly ledger: SqliteLedger;
  readonly clock: TestClock;
  /** What issuance uses: `clock`, guarded against going back. */
  readonly guardedClock: Clock;
  readonly random: RandomBytes;
  readonly authorities: Authorities;
  /** Nobody looks but the test, and who rolls over. */
  readonly roster: Roster;
  readonly rollover: RolloverRoom;
  /** Nobody looks but the test. */
  readonly standing: Standing;
  readonly issuing: IssuingRoom;
  readonly enroll: Enroller;
  readonly issueService: ServiceIssuer;
  readonly crls: CrlRoom;
  readonly revoker: Revoker;
  readonly deviceDesk: DeviceDesk;
  readonly renewal: RenewalDesk;
  readonly rotation: RotationPolicy;
  readonly uses: UseNoter;
  /** For admissions by certificate. */
  readonly watched: WatchedUses;
  /** Nobody has made it signers. */
  readonly ocsp: OcspResponder;
  /** A request of a device with a key of its own. */
  request(serialNumber: string, asking?: Asking): EnrollmentRequest;
  /** Enrolls one device by an operator's hand; gives what came out. */
  ask(serialNumber: string, asking?: Asking): Promise<EnrollmentResult | BirthmarkError>;
  /** The same where it must be granted. */
  grant(serialNumber: string, asking?: Asking): Promise<EnrollmentResult>;
}

export function testClock(start = BEGINNING): TestClock {
  let now = start;
  return {
    now: () => now,
    pass: (milliseconds) => {
      now += milliseconds;
    },
  };
}

/** Octets that look random and are the same in each run. */
export function seededRandom(seed = 'house'): RandomBytes {
  let drawn = 0;
  return (size) => {
    drawn += 1;
    const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, at) =>
      hash('sha256', `${seed}/${drawn}/${at}`, 'buffer'),
    );
    return Buffer.concat(blocks).subarray(0, size);
  };
}

interface Hierarchy {
  readonly records: readonly AuthorityRecord[];
  readonly signers: ReadonlyMap<string, Signer>;
}

/** Hierarchies are dear to make (other libraries read them again), so a process makes one for each algorithm and beginning. */
const hierarchies = new Map<string, Promise<Hierarchy>>();

export function testHierarchy(
  algorithm: AuthorityKeyAlgorithm = 'ec-p256',
  beginning = BEGINNING,
): Promise<Hierarchy> {
  const name = `${algorithm} ${beginning}`;
  let made = hierarchies.get(name);
  if (made === undefined) {
    made = makeHierarchy(algorithm, beginning);
    hierarchies.set(name, made);
  }
  return made;
}

const YEARS = { root: 50, idevid: 40, ldevid: 20, service: 20 } as const;

/** As `init` plans it. */
export function testPlans(algorithm: AuthorityKeyAlgorithm): AuthorityPlan[] {
  return Object.entries(YEARS).map(([name, years]) => ({
    name,
    issuer: 'root',
    organization: ORGANIZATION,
    commonName: `${ORGANIZATION} ${name} CA`,
    validityDays: years * 365,
    pathLength: name === 'root' ? 1 : 0,
    signer: createFileSigner(generateKey(algorithm)),
  }));
}

async function makeHierarchy(algorithm: AuthorityKeyAlgorithm, beginning: number): Promise<Hierarchy> {
  const ledger = openLedger({ path: ':memory:' });
  const plans = testPlans(algorithm);
  try {
    const records = await createHierarchy(plans, {
      ledger,
      urls: publishedUrls(PUBLIC_URL),
      now: beginning,
      random: seededRandom('hierarchy'),
    });
    return { records, signers: new Map(plans.map(({ name, signer }) => [name, signer])) };
  } finally {
    ledger.close();
  }
}

/** Keys of later generations, which houses over one ledger share. */
const keysOfLedgers = new Map<string, Map<string, Signer>>();

function keysBeside(path: string): Map<string, Signer> {
  const keys = (path === ':memory:' ? undefined : keysOfLedgers.get(path)) ?? new Map<string, Signer>();
  keysOfLedgers.set(path, keys);
  return keys;
}

/** The profiles that `init` writes, with what differs. */
export function testProfiles(
  changes: TestHouseOptions['profiles'] = {},
): readonly (readonly [name: string, config: ProfileConfig])[] {
  const defaults = defaultProfiles(ORGANIZATION);
  const { idevid } = defaults;
  if (!idevid) throw new Error('there is no profile idevid');
  return [...new Set([...Object.keys(defaults), ...Object.keys(changes)])].map((name) => [
    name,
    { ...(defaults[name] ?? idevid), ...changes[name] },
  ]);
}

/** A house with a root and three authorities. Use it with `using`: its ledger closes with the block. */
export async function openTestHouse(options: TestHouseOptions = {}): Promise<TestHouse> {
  const { profiles, algorithm, shards = 4, random = seededRandom(), path = ':memory:', faulty } = options;
  const { record, beginning = BEGINNING, clock = testClock(beginning) } = options;
  const { records, signers } = await testHierarchy(algorithm, beginning);
  const ledger = openLedger({
    path,
    ...(record !== undefined && { record: { path: record, clock: clock.now } }),
  });
  if ((await ledger.read.listAuthorities()).length === 0) {
    await ledger.write((tx) => tx.addAuthorities(records));
  }
  const keys = keysBeside(path);
  const roster = await openRoster({
    reads: ledger.read,
    signerOf: ({ name }) => {
      const signer = signers.get(name) ?? keys.get(name);
      if (!signer) throw new Error(`there is no key of ${name}`);
      return signer;
    },
  });
  const { authorities } = roster;
  const guardedClock = guardClock(clock.now, await ledger.read.latestReservation());
  const standing = createStanding({ authorities, reads: ledger.read, onFall: () => undefined });
  const issuing = createIssuingRoom({
    authorities,
    profiles: testProfiles(profiles).map(([name, config]) =>
      parseProfile(name, config, ['idevid', 'ldevid', 'service']),
    ),
    urls: publishedUrls(PUBLIC_URL),
    shards,
    random,
    roster,
    mayIssue: standing.mayIssue,
  });
  const crls: CrlRoom = {
    ledger,
    authorities,
    urls: publishedUrls(PUBLIC_URL),
    policy: { shards, validityMs: 10 * 3_600_000, coalesceMs: 60_000, idp: 'partitionedOnly' },
  };
  const shared = { ledger: faulty?.(ledger) ?? ledger, issuing, keyLimits: KEY_LIMITS, clock: guardedClock };
  const policy = parseRotation(DEFAULT_ROTATION);
  const rotation = { ...policy, ...options.rotation };
  const uses = createUseNoter({ policy: rotation, idevidProfiles: issuing.idevidProfiles });
  const enroll = createEnroller({ ...shared, maxUnseen: rotation.maxUnseen });
  const request: TestHouse['request'] = (serialNumber, asking = {}) => {
    const { key, csr, profile = 'idevid', namespace = OWN_NAMESPACE, ...known } = asking;
    return {
      device: { namespace, serialNumber },
      profile: issuing.profile(profile),
      csr: csr ?? newCsr(key),
      ...known,
    };
  };
  const ask: TestHouse['ask'] = async (serialNumber, asking) =>
    only(await enroll([request(serialNumber, asking)], operatorAdmission('operator:test')));
  return {
    ledger,
    clock,
    guardedClock,
    random,
    authorities,
    roster,
    rollover: {
      ...{ ledger, roster, urls: crls.urls, clock: guardedClock, random },
      defaultsOf: (family) =>
        family in YEARS
          ? {
              ...{ organization: ORGANIZATION, commonName: `${ORGANIZATION} ${family} CA` },
              ...{ algorithm: 'ec-p256', validityDays: 20 * 365 },
            }
          : undefined,
      obtainSigner: (name, wanted) => {
        const signer = keys.get(name) ?? createFileSigner(generateKey(wanted));
        keys.set(name, signer);
        return signer;
      },
      publish: async () => {
        await roster.look();
        await publishDueCrls(crls, clock.now());
      },
      publishedMs: DAY_MS,
    },
    standing,
    issuing,
    enroll,
    issueService: createServiceIssuer(shared),
    crls,
    renewal: {
      reads: ledger.read,
      policy: rotation,
      idevidProfiles: issuing.idevidProfiles,
      mayIssue: standing.mayIssue,
      authorities,
      retryAfterMs: rotation.retryAfterMs,
    },
    deviceDesk: createDeviceDesk({
      ledger,
      crls,
      idevidProfiles: issuing.idevidProfiles,
      clock: clock.now,
      onUnpublished: (error) => {
        throw error;
      },
    }),
    rotation,
    uses,
    watched: { uses, clock: guardedClock, place: 'door:test' },
    revoker: createRevoker({
      ledger,
      crls,
      idevidProfiles: issuing.idevidProfiles,
      clock: clock.now,
      onUnpublished: (error) => {
        throw error;
      },
    }),
    ocsp: createOcspResponder({
      authorities,
      ledger: ledger.read,
      signerOf: () => undefined,
      policy: parseOcspPolicy(DEFAULT_OCSP),
      clock: clock.now,
      onFault: () => undefined,
      tally: newOcspTally(),
    }),
    request,
    ask,
    grant: async (serialNumber, asking) => granted(await ask(serialNumber, asking)),
    [Symbol.dispose]: () => ledger.close(),
  };
}

/** The one item of a list. */
export function only<T>(items: readonly T[]): T {
  const [item, ...more] = items;
  if (item === undefined || more.length > 0) throw new Error(`${items.length} items where one belongs`);
  return item;
}

/** What was granted; throws the refusal. */
export function granted(outcome: EnrollmentResult | BirthmarkError | undefined): EnrollmentResult {
  if (outcome === undefined) throw new Error('there is no outcome');
  if (outcome instanceof BirthmarkError) throw outcome;
  return outcome;
}

/** The code of what was refused, or `granted`. */
export function outcomeCode(outcome: object | undefined): string {
  return outcome instanceof BirthmarkError ? outcome.code : 'granted';
}

/** The code with which a promise is refused, or `accepted`. Any other error than ours is a fault and goes on. */
export async function codeOfAsync(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
  return 'accepted';
}

export function newKey(kind: KeyKind = 'P-256'): SampleKey {
  return sampleKey(kind);
}

export interface CsrAsks {
  readonly subject?: readonly Attribute[];
  /** Extensions of an extensionRequest, encoded. */
  readonly extensions?: readonly Der[];
  /** Other attributes, encoded. */
  readonly attributes?: readonly Der[];
}

/** A CSR, DER; without names unless it asks for some. */
export function newCsr(key: SampleKey = newKey(), asks: CsrAsks = {}): Buffer {
  const { subject = [], extensions = [], attributes = [] } = asks;
  const wanted = extensions.length === 0 ? [] : [attribute('1.2.840.113549.1.9.14', sequence(...extensions))];
  return sampleCsr(key, { subject: encodeName(subject), attributes: [...wanted, ...attributes] });
}

/** An attribute of a CSR with one value. */
export function attribute(type: string, value: Der): Der {
  return encode(sequence(oid(type), setOf(value)));
}
