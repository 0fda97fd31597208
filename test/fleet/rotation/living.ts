// Devices that live in a house of tests: they are born, enroll by what they have, are seen at a gate, and come again.
import { toHex } from '../../../src/core/bytes.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { certificateAdmission } from '../../../src/enroll/certificate-admission.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import { createIdentifier } from '../../../src/enroll/identify.ts';
import { noteSightings, type SeenAtListener } from '../../../src/fleet/note-sightings.ts';
import { retireDue } from '../../../src/fleet/rotation/retire-due.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { granted, newCsr, newKey, only, type TestHouse } from '../../house.ts';
import type { SampleKey } from '../../x509/samples.ts';

/** A certificate with its key. */
export interface Held extends EnrollmentResult {
  readonly key: SampleKey;
}

export interface Coming {
  readonly key?: SampleKey;
  /** Whether it renews what it comes with. */
  readonly renews?: boolean;
  readonly profile?: string;
}

export interface Living {
  born(serialNumber: string): Promise<Held>;
  /** Comes with a certificate; gives what it got, or throws why not. */
  come(by: EnrollmentResult, coming?: Coming): Promise<Held>;
  /** Born, and enrolled with that. */
  enrolled(serialNumber: string): Promise<{ readonly idevid: Held; readonly ldevid: Held }>;
  /** Enrolled with `a`, and has renewed that: `b` was not seen yet. */
  renewed(serialNumber: string): Promise<{ readonly idevid: Held; readonly a: Held; readonly b: Held }>;
  /** A gate tells that it let these in. */
  see(...seen: readonly EnrollmentResult[]): Promise<void>;
  /** What a gate tells, times by its own clock. */
  tell(told: {
    readonly seen?: readonly EnrollmentResult[];
    readonly refused?: readonly EnrollmentResult[];
    readonly at?: number;
    readonly sentAt?: number;
  }): Promise<void>;
  retire(): Promise<number>;
  state(serialNumber: string): Promise<string | undefined>;
  /** `good`, `held`, or the reason of the revocation. */
  status(of: EnrollmentResult): Promise<string>;
  incidents(): Promise<readonly string[]>;
  rotations(serialNumber: string): Promise<readonly string[]>;
}

export function living(house: TestHouse): Living {
  const { ledger, authorities, clock } = house;
  const identify = createIdentifier(house);
  const deviceOf = async (serialNumber: string) =>
    (await ledger.read.findDevices([{ namespace: 'own', serialNumber }]))[0];
  const seenOf = async (one: EnrollmentResult, at: number): Promise<SeenAtListener> => {
    const record = await ledger.read.findBySerial(one.serial);
    const keyId = authorities.get(record?.authority ?? '')?.keyId ?? new Uint8Array();
    return { issuerKeyId: toHex(keyId), serial: toHex(one.serial), at, listener: 'mqtt' };
  };
  const life: Living = {
    born: async (serialNumber) => {
      const key = newKey();
      return { key, ...(await house.grant(serialNumber, { key })) };
    },
    come: async (by, { key = newKey(), renews = false, profile = 'ldevid' } = {}) => {
      const peer = { leaf: by.certificate, chain: [], via: 'tls' } as const;
      const identity = await identify(peer, { at: clock.now(), graceMs: 0 });
      const request = house.request(by.serialNumber, { key, profile, csr: newCsr(key) });
      const { subject, serial } = parseCertificate(by.certificate).tbs;
      const outcome = await house.enroll(
        [{ ...request, ...(renews && { renewed: { serial, subject } }) }],
        certificateAdmission(identity, house.watched),
      );
      return { key, ...granted(only(outcome)) };
    },
    enrolled: async (serialNumber) => {
      const idevid = await life.born(serialNumber);
      return { idevid, ldevid: await life.come(idevid) };
    },
    renewed: async (serialNumber) => {
      const { idevid, ldevid: a } = await life.enrolled(serialNumber);
      return { idevid, a, b: await life.come(a, { renews: true }) };
    },
    see: (...seen) => life.tell({ seen }),
    tell: async ({ seen = [], refused = [], at = clock.now(), sentAt }) => {
      const all = async (some: readonly EnrollmentResult[]) =>
        Promise.all(some.map((one) => seenOf(one, at)));
      const { uses } = house;
      const { idevidProfiles } = house.issuing;
      await noteSightings(
        { ledger, authorities, uses, idevidProfiles, clock: clock.now },
        {
          seen: await all(seen),
          refused: await all(refused),
          enforced: [],
          ...(sentAt !== undefined && { sentAt }),
        },
        'token:gate',
      );
    },
    retire: () =>
      retireDue({
        ledger,
        crls: house.crls,
        idevidProfiles: house.issuing.idevidProfiles,
        clock: clock.now,
        onUnpublished: (error) => {
          throw error;
        },
      }),
    state: async (serialNumber) => (await deviceOf(serialNumber))?.state,
    status: async ({ serial }) => {
      const record = await ledger.read.findBySerial(serial);
      const [found] = await ledger.read.findStatuses(record?.authority ?? '', [serial]);
      if (found?.status !== 'revoked') return found?.status ?? '';
      return found.revocation.held ? 'held' : (found.revocation.reason ?? 'unspecified');
    },
    incidents: async () =>
      (await ledger.read.listIncidents({ limit: 1000 })).items.map(
        ({ kind, subject }) => `${kind} ${subject}`,
      ),
    rotations: async (serialNumber) => {
      const device = await deviceOf(serialNumber);
      return device ? (await ledger.read.findRotationsOf([device.id])).map(({ state }) => state) : [];
    },
  };
  return life;
}

/** The code with which something was refused, or `done`. */
export async function refusalOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'done';
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
}
