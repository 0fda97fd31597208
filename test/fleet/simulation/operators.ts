// Two operators roll an issuing CA over, with a campaign that carries the fleet to the new one; its engine is killed again and again.
import { activateGeneration } from '../../../src/ca/rollover/activate-generation.ts';
import { prepareGeneration } from '../../../src/ca/rollover/prepare-generation.ts';
import { retireGeneration } from '../../../src/ca/rollover/retire-generation.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { createCampaigns } from '../../../src/fleet/campaign/campaigns.ts';
import { advanceCampaigns } from '../../../src/fleet/campaign/engine.ts';
import { type MemberState, OPEN_STATES } from '../../../src/fleet/campaign/ports.ts';
import { planFrom } from '../../../src/fleet/campaign/presets.ts';
import type { CampaignLedger } from '../../../src/fleet/campaign/room.ts';
import type { TestHouse } from '../../house.ts';
import { roomOf } from '../campaign/lab.ts';
import type { Chronicle } from './chronicle.ts';

export const ANNA = 'operator:anna';
const BELA = 'operator:bela';
const NAME = 'to-ldevid-2';
const OLD = 'ldevid';
const MOST_MEMBERS = 100_000;

class Killed extends Error {}

/** Dies at every write in turn: at the first, at the second, and so on; before it, and after it before anybody heard of it. */
function dyingLedger(ledger: CampaignLedger, chronicle: Chronicle) {
  let target = 1;
  let when: 'before' | 'after' = 'before';
  let writes = 0;
  return {
    begin: () => {
      writes = 0;
    },
    /** It came to its end: the next one dies at the first write again. */
    survived: () => {
      target = 1;
    },
    ledger: {
      read: ledger.read,
      write: async (work) => {
        writes += 1;
        const dies = writes === target;
        const dead = when;
        if (dies) {
          chronicle.count('campaign killed');
          target += when === 'after' ? 1 : 0;
          when = when === 'before' ? 'after' : 'before';
          if (dead === 'before') throw new Killed();
        }
        const outcome = await ledger.write(work);
        if (dies) throw new Killed();
        return outcome;
      },
    } satisfies CampaignLedger,
  };
}

export interface Operators {
  rotate(): Promise<void>;
  /** Lets the new generation issue, plans the campaign and starts it: two of them at once. */
  activateAndStart(size: number): Promise<void>;
  /** The engine's turn; gives the ids of devices that were called since the last. */
  engineTurn(): Promise<readonly number[]>;
  /** Ids of devices that the campaign still waits for. */
  openMembers(): Promise<readonly number[]>;
  /** Takes back what is left of the old generation, and retires it; gives its name, DER in hexadecimal. */
  retireOld(): Promise<string>;
}

export function openOperators(house: TestHouse, chronicle: Chronicle): Operators {
  const dying = dyingLedger(house.ledger, chronicle);
  const room = roomOf(house);
  const campaigns = createCampaigns(room);
  const called = new Set<number>();
  const membersIn = async (states: readonly MemberState[]) => {
    const campaign = await house.ledger.read.findCampaign(NAME);
    const members = campaign ? await house.ledger.read.findMembersIn(campaign.id, states, MOST_MEMBERS) : [];
    return members.map(({ deviceId }) => deviceId);
  };

  return {
    async rotate() {
      const both = await Promise.all(
        [ANNA, BELA].map((who) => prepareGeneration(house.rollover, { family: OLD }, who)),
      );
      if (both.filter(({ made }) => made).length !== 1) throw new Error('two generations were made');
      chronicle.count('operator who came second');
    },
    async activateAndStart(size) {
      await activateGeneration(house.rollover, { family: OLD, now: false }, ANNA);
      // A tenth of the fleet is off, and one broker in twenty never reports: a wave cannot have more.
      const plan = planFrom({
        preset: 'rotate-ca',
        selection: { issuer: OLD },
        waveSize: Math.ceil(size / 5),
        gatePercent: 70,
      });
      await campaigns.plan(NAME, plan, ANNA);
      const both = await Promise.allSettled([ANNA, BELA].map((who) => campaigns.start(NAME, who)));
      const refused = both.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
      const [second, ...more] = refused;
      if (!(second instanceof BirthmarkError) || second.code !== 'campaign-state' || more.length > 0)
        throw new Error('of two who start a campaign one must be told that the other did');
      chronicle.count('operator who came second');
    },
    async engineTurn() {
      dying.begin();
      try {
        await advanceCampaigns({ ...room, ledger: dying.ledger });
        dying.survived();
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
      const news = (await membersIn(['called'])).filter((id) => !called.has(id));
      for (const id of news) called.add(id);
      return news;
    },
    openMembers: () => membersIn(OPEN_STATES),
    async retireOld() {
      const old = house.authorities.get(OLD);
      if (!old) throw new Error(`there is no ${OLD}`);
      await house.revoker(
        { act: 'revoke', by: { kind: 'authority', authority: OLD }, reason: 'superseded' },
        ANNA,
      );
      await retireGeneration(house.rollover, OLD, ANNA);
      return toHex(old.certificate.tbs.subject);
    },
  };
}
