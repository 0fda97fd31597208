// Campaigns under random crashes, pauses, resumes, renewals and sightings; the seed makes each run the same.
import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import type { CampaignLedger } from '../../../src/fleet/campaign/room.ts';
import { ANNA, BELA, type Lab, namesOf, openLab, planWith } from './lab.ts';

class Killed extends Error {}

function chance(seed: string) {
  let drawn = 0;
  return (below: number): number => {
    drawn += 1;
    return hash('sha256', `${seed}/${drawn}`, 'buffer').readUInt32BE(0) % below;
  };
}

/** What is true at every moment of every campaign. */
async function assertSound(lab: Lab, members: number, old: readonly EnrollmentResult[]): Promise<void> {
  const tally = await lab.tally('random');
  expect(Object.values(tally).reduce((sum, count) => sum + count, 0)).toBe(members);
  const campaign = await lab.house.ledger.read.findCampaign('random');
  const all = await lab.house.ledger.read.listMembers(campaign?.id ?? 0, { after: 0, limit: 1000 });
  const counted: Record<string, number> = {};
  for (const { state } of all) counted[state] = (counted[state] ?? 0) + 1;
  expect(counted).toEqual(tally);
  // Who was called was called once, in a wave no larger than it was to be.
  const waves = Map.groupBy(
    all.filter(({ wave }) => wave > 0),
    ({ wave }) => wave,
  );
  for (const [wave, inIt] of waves) expect(inIt.length, `wave ${wave}`).toBeLessThanOrEqual(4);
  for (const [at, one] of old.entries()) {
    const calls = await lab.callsFor(one);
    expect(calls).toBeLessThanOrEqual(1);
    if (all[at]?.state === 'called' && campaign?.state !== 'ending') expect(calls).toBe(1);
    if (all[at]?.state === 'rolled-back') expect(calls).toBe(0);
  }
}

test.each(Array.from({ length: 12 }, (_, at) => `seed-${at}`))(
  'with %s nobody is lost, nobody is called twice, and it comes to its end',
  async (seed) => {
    const draw = chance(seed);
    let mayDie = true;
    const wrap = (ledger: CampaignLedger): CampaignLedger => ({
      read: ledger.read,
      write: async (work) => {
        const fate = mayDie ? draw(8) : 9;
        if (fate === 0) throw new Killed();
        const outcome = await ledger.write(work);
        if (fate === 1) throw new Killed();
        return outcome;
      },
    });
    using lab = await openLab({ wrap });
    const names = namesOf(9);
    const old = await lab.fleet(names);
    const survive = async (act: () => Promise<unknown>) => {
      try {
        await act();
      } catch (error) {
        const isExpected =
          error instanceof Killed || (error instanceof BirthmarkError && error.code !== 'internal');
        if (!isExpected) throw error;
      }
    };
    while ((await lab.state('random')) !== 'planned') {
      await survive(() => lab.campaigns.plan('random', planWith({ waveSize: 4, gatePercent: 50 }), ANNA));
      await survive(() => lab.tick(1));
    }
    while ((await lab.state('random')) === 'planned')
      await survive(() => lab.campaigns.start('random', ANNA));
    const fresh = new Map<string, EnrollmentResult>();
    for (let step = 0; step < 40; step += 1) {
      const name = names[draw(names.length)] ?? '';
      const known = fresh.get(name);
      const acts: readonly (() => Promise<unknown>)[] = [
        () => lab.tick(1 + draw(100)),
        () => lab.tick(1),
        () => lab.campaigns.pause('random', BELA),
        () => lab.campaigns.resume('random', ANNA),
        async () => fresh.set(name, await lab.renew(name)),
        async () => known && lab.see(known),
      ];
      await survive(acts[draw(acts.length)]!);
      await assertSound(lab, names.length, old);
    }
    mayDie = false;
    if ((await lab.state('random')) === 'paused') await lab.campaigns.resume('random', ANNA);
    if (draw(3) === 0 && (await lab.state('random')) === 'running') {
      await lab.campaigns.rollBack('random', ANNA);
      await lab.tick();
      expect(await lab.state('random')).toBe('rolled-back');
    } else {
      for (const name of names) await lab.see(await lab.renew(name));
      for (let at = 0; at < 5; at += 1) await lab.tick(10);
      expect(await lab.state('random')).toBe('done');
      expect(await lab.tally('random')).toEqual({ replaced: names.length });
    }
    await assertSound(lab, names.length, old);
  },
);
