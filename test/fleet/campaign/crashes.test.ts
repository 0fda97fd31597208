// The engine dies between any two writes, and whoever comes next goes on: nobody twice, nobody lost.
import { expect, test } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import type { CampaignPlan } from '../../../src/fleet/campaign/plan.ts';
import type { CampaignLedger } from '../../../src/fleet/campaign/room.ts';
import { ANNA, type Lab, namesOf, openLab, planWith } from './lab.ts';

class Killed extends Error {}

/** A ledger whose process dies at a write: `before` it, or `after` it was committed and before anybody heard of it. */
function dyingAt(write: number, when: 'before' | 'after') {
  let writes = 0;
  return {
    writes: () => writes,
    wrap: (ledger: CampaignLedger): CampaignLedger => ({
      read: ledger.read,
      write: async (work) => {
        writes += 1;
        const dies = writes === write;
        if (dies && when === 'before') throw new Killed();
        const outcome = await ledger.write(work);
        if (dies) throw new Killed();
        return outcome;
      },
    }),
  };
}

const NAMES = namesOf(5);

/** Does an act of an operator until it was done: one whose answer was lost says it again, and hears that it was done. */
async function insist(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    await act().catch((again: Error) => {
      if (!/already|is running|is ending|is rolled-back/.test(again.message)) throw again;
    });
  }
}

/** The engine's turn, and another engine's where it dies. */
async function turn(lab: Lab, seconds = 1): Promise<void> {
  try {
    await lab.tick(seconds);
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    await lab.tick(0);
  }
}

interface Told {
  readonly tally: object;
  readonly state: string | undefined;
  readonly statuses: readonly string[];
  readonly calls: readonly number[];
  /** How often each act on a certificate or wave is in the audit record. */
  readonly acts: Readonly<Record<string, number>>;
}

/** A campaign from the plan to the end; in it two devices follow, one follows unseen, two stay away. */
async function story(lab: Lab, plan: CampaignPlan, end: 'deadline' | 'rollback'): Promise<Told> {
  const old = await lab.fleet(NAMES);
  await insist(() => lab.campaigns.plan('story', plan, ANNA));
  while ((await lab.state('story')) === 'planning') await turn(lab, 0);
  await insist(() => lab.campaigns.start('story', ANNA));
  await turn(lab);
  await turn(lab);
  const [one, two] = [await lab.renew('SN-0000'), await lab.renew('SN-0001')];
  const unseen = await lab.renew('SN-0002');
  await lab.see(one, two);
  await turn(lab);
  await turn(lab);
  if (end === 'rollback') await insist(() => lab.campaigns.rollBack('story', ANNA));
  for (let at = 0; at < 4; at += 1) await turn(lab, 3600);
  const { items } = await lab.house.ledger.read.listAudit({ limit: 1000 });
  const acts: Record<string, number> = {};
  const names = new Map([...old, one, two, unseen].map((granted, at) => [toHex(granted.serial), `#${at}`]));
  for (const { action, subject, actor } of items) {
    if (actor !== 'campaign:story' || action === 'device.move') continue;
    const key = `${action} ${names.get(subject.replace('certificate:', '')) ?? ''}`.trim();
    acts[key] = (acts[key] ?? 0) + 1;
  }
  const all: readonly EnrollmentResult[] = [...old, one, two, unseen];
  return {
    tally: await lab.tally('story'),
    state: await lab.state('story'),
    statuses: await Promise.all(all.map((granted) => lab.statusOf(granted))),
    calls: await Promise.all(old.map((granted) => lab.callsFor(granted))),
    acts,
  };
}

const STORIES: readonly (readonly [string, CampaignPlan, 'deadline' | 'rollback'])[] = [
  [
    'that revokes at once and stragglers at the deadline',
    planWith({
      access: 'revoke',
      reason: 'privilegeWithdrawn',
      deadlineSeconds: 3600,
      stragglers: 'revoke',
      waveSize: 2,
      gatePercent: 0,
    }),
    'deadline',
  ],
  [
    'that keeps what is good and leaves stragglers',
    planWith({ reason: 'keyCompromise', deadlineSeconds: 3600, stragglers: 'revoke', waveSize: 3 }),
    'deadline',
  ],
  ['that is rolled back', planWith({ waveSize: 3 }), 'rollback'],
];

test.each(STORIES)(
  'a campaign %s, killed at every step, ends the same as one that was not',
  async (_title, plan, end) => {
    using whole = await openLab();
    const expected = await story(whole, plan, end);
    expect(Object.values(expected.acts).every((times) => times >= 1)).toBe(true);
    const counting = dyingAt(Number.POSITIVE_INFINITY, 'before');
    using counted = await openLab({ wrap: counting.wrap });
    await story(counted, plan, end);
    const writes = counting.writes();
    expect(writes).toBeGreaterThan(8);
    for (let write = 1; write <= writes; write += 1) {
      for (const when of ['before', 'after'] as const) {
        using lab = await openLab({ wrap: dyingAt(write, when).wrap });
        const told = await story(lab, plan, end);
        expect(told, `killed ${when} write ${write}`).toEqual(expected);
      }
    }
  },
  120_000,
);
