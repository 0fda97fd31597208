// A house with a fleet, and campaigns over it: devices renew, and are seen, when a test says so.
import { operatorAdmission } from '../../../src/enroll/admission.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import { type Campaigns, createCampaigns } from '../../../src/fleet/campaign/campaigns.ts';
import { advanceCampaigns } from '../../../src/fleet/campaign/engine.ts';
import { type CampaignPlan, DEFAULT_PLAN } from '../../../src/fleet/campaign/plan.ts';
import type { MemberState } from '../../../src/fleet/campaign/ports.ts';
import type { CampaignLedger, CampaignRoom } from '../../../src/fleet/campaign/room.ts';
import {
  type Asking,
  codeOfAsync,
  granted,
  openTestHouse,
  type TestHouse,
  type TestHouseOptions,
} from '../../house.ts';
import { living } from '../rotation/living.ts';

export const ANNA = 'operator:anna';
export const BELA = 'operator:bela';

export interface Lab extends Disposable {
  readonly house: TestHouse;
  readonly room: CampaignRoom;
  readonly campaigns: Campaigns;
  /** Makes devices with an IDevID and an LDevID each; gives the LDevIDs. */
  fleet(names: readonly string[], asking?: Asking): Promise<readonly EnrollmentResult[]>;
  /** A new LDevID for a device, with a new key unless it is said. */
  renew(name: string, asking?: Asking): Promise<EnrollmentResult>;
  /** Comes with its IDevID and a new key. */
  recover(name: string): Promise<EnrollmentResult>;
  /** A gate sees a certificate in use. */
  see(...seen: readonly EnrollmentResult[]): Promise<void>;
  /** The engine's turn, after some seconds. */
  tick(seconds?: number): Promise<void>;
  /** How many members are in which state. */
  tally(name: string): Promise<Partial<Record<MemberState, number>>>;
  state(name: string): Promise<string | undefined>;
  /** `good`, `held`, or the reason. */
  statusOf(one: { readonly serial: Uint8Array }): Promise<string>;
  /** How many calls for renewal there are for a certificate. */
  callsFor(one: { readonly serial: Uint8Array }): Promise<number>;
}

/** A plan with what differs. */
export function planWith(changes: Partial<CampaignPlan>): CampaignPlan {
  return { ...DEFAULT_PLAN, selection: { batch: 'B-1' }, ...changes };
}

export function namesOf(count: number, prefix = 'SN-'): readonly string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${String(at).padStart(4, '0')}`);
}

/** What campaigns need of a house; a list that cannot be published fails the test. */
export function roomOf(house: TestHouse, ledger: CampaignLedger = house.ledger): CampaignRoom {
  return {
    ledger,
    profiles: house.issuing.profiles,
    idevidProfiles: house.issuing.idevidProfiles,
    crls: house.crls,
    clock: house.clock.now,
    onUnpublished: (error) => {
      throw error;
    },
  };
}

export async function openLab(
  options: TestHouseOptions & { readonly wrap?: (ledger: CampaignLedger) => CampaignLedger } = {},
): Promise<Lab> {
  const house = await openTestHouse(options);
  const room = roomOf(house, options.wrap?.(house.ledger));
  const life = living(house);
  const idevids = new Map<string, EnrollmentResult>();
  const rowOf = async ({ serial }: { readonly serial: Uint8Array }) => {
    const record = await house.ledger.read.findBySerial(serial);
    if (!record) throw new Error('the ledger has no such certificate');
    return record;
  };
  const enrollAll = async (names: readonly string[], asking: Asking) => {
    const requests = names.map((name) => house.request(name, asking));
    return (await house.enroll(requests, operatorAdmission('operator:test'))).map((one) => granted(one));
  };
  return {
    house,
    room,
    campaigns: createCampaigns(room),
    async fleet(names, asking = { batch: 'B-1' }) {
      for (const one of await enrollAll(names, asking)) idevids.set(one.serialNumber, one);
      return enrollAll(names, { ...asking, profile: 'ldevid' });
    },
    renew: (name, asking = {}) => house.grant(name, { profile: 'ldevid', ...asking }),
    see: (...seen) => life.see(...seen),
    recover: async (name) => {
      const idevid = idevids.get(name);
      if (!idevid) throw new Error(`${name} has no IDevID`);
      return life.come(idevid);
    },
    async tick(seconds = 1) {
      house.clock.pass(seconds * 1000);
      await advanceCampaigns(room);
    },
    async tally(name) {
      const { id = 0 } = (await house.ledger.read.findCampaign(name)) ?? {};
      const tally: Partial<Record<MemberState, number>> = {};
      for (const { state, members } of await house.ledger.read.tallyCampaign(id))
        tally[state] = (tally[state] ?? 0) + members;
      return tally;
    },
    state: async (name) => (await house.ledger.read.findCampaign(name))?.state,
    async statusOf(one) {
      const { id } = await rowOf(one);
      const [revocation] = await house.ledger.read.findRevocations([id]);
      if (!revocation) return 'good';
      return revocation.held ? 'held' : (revocation.reason ?? 'unspecified');
    },
    async callsFor(one) {
      return (await house.ledger.read.findRenewalCalls([(await rowOf(one)).id])).length;
    },
    [Symbol.dispose]: () => house[Symbol.dispose](),
  };
}

export { codeOfAsync };
