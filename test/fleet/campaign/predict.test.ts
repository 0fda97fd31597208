import { describe, expect, test } from 'vitest';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import { lookAt } from '../../../src/fleet/campaign/look.ts';
import {
  measuredPace,
  measuredReaction,
  pastWaves,
  predict,
  sizeOfWave,
} from '../../../src/fleet/campaign/predict.ts';
import { ANNA, type Lab, namesOf, openLab, planWith } from './lab.ts';

const SECOND = 1000;

describe('a prediction', () => {
  test.each([
    ['of nobody is nothing', 0, {}, {}, 0],
    ['goes by the rate', 601, { ratePerMinute: 60 }, {}, 600 + 1],
    [
      'goes by the pace where that is slower',
      600,
      { ratePerMinute: 6000 },
      { renewalsPerSecond: 10 },
      60 + 1,
    ],
    [
      'waits for devices after each wave with a gate',
      30,
      { waveSize: 10, gatePercent: 90 },
      { reactionMs: 60_000 },
      180,
    ],
    ['waits once for waves without one', 30, { waveSize: 10 }, { reactionMs: 60_000 }, 60],
    ['ends at the deadline', 601, { ratePerMinute: 1, deadlineSeconds: 60 }, {}, 60],
  ])('%s', (_title, members, plan, pace, seconds) => {
    expect(Math.round(predict(members, planWith(plan), pace).totalMs / SECOND)).toBe(seconds);
  });

  test('knows the first wave from the others', () => {
    expect([1, 2].map((wave) => sizeOfWave({ waveSize: 100, firstWave: 5 }, wave, 1000))).toEqual([5, 100]);
    expect(sizeOfWave({ waveSize: 0, firstWave: 0 }, 1, 1000)).toBe(1000);
    expect(predict(205, planWith({ waveSize: 100, firstWave: 5 }), {}).waves).toBe(3);
  });

  test('measures the pace when there was much to do, and not the idle hours', () => {
    // Newest first: two busy stretches of 50 a second, days apart, and a slow one.
    const busy = (from: number) => Array.from({ length: 1000 }, (_, at) => from - at * 20);
    const slow = Array.from({ length: 1000 }, (_, at) => 1e9 - at * 60_000);
    expect(measuredPace([...busy(9e9), ...slow, ...busy(1e8)])).toBeCloseTo(50, 0);
    expect(measuredPace(busy(1e9).slice(0, 100))).toBeUndefined();
  });

  /** A wave of 1,000 that is called at once: the house serves so many a second, and each device is seen 3 seconds after. */
  const wave = (number: number, from: number, perSecond: number) =>
    Array.from({ length: 1000 }, (_, at) => ({
      wave: number,
      calledAt: from,
      endedAt: from + (at * SECOND) / perSecond + 3 * SECOND,
    }));
  /** Called one by one, a second apart. */
  const slowly = Array.from({ length: 1000 }, (_, at) => ({
    wave: 1,
    calledAt: at * SECOND,
    endedAt: (at + 3) * SECOND,
  }));

  test('tells what a device takes by itself from what it waited behind others', () => {
    const followers = [...wave(2, 60 * SECOND, 100), ...wave(1, 0, 100)];
    expect(measuredReaction(followers, 90, 100)).toBe(3 * SECOND);
    // Were there no queue, that is how long they took.
    expect(measuredReaction(followers, 90)).toBe(12 * SECOND);
    expect(measuredReaction([], 90)).toBeUndefined();
  });

  test('takes nothing off for a queue from devices that were called one by one', () => {
    expect(measuredReaction(slowly, 90, 100)).toBe(3 * SECOND);
  });

  test('knows past waves that were called at once, until so many had followed', () => {
    const followers = [...wave(2, 60 * SECOND, 100), ...wave(1, 0, 100)];
    expect(pastWaves(followers, 90)).toEqual([
      { size: 1000, ms: 11_990 },
      { size: 1000, ms: 11_990 },
    ]);
    expect(pastWaves(slowly, 90)).toEqual([]);
    expect(pastWaves([], 90)).toEqual([]);
  });

  test('takes as long for a wave as one like it took, and for what it is larger by the pace', () => {
    const waves = [
      { size: 100, ms: 2000 },
      { size: 1000, ms: 9000 },
      { size: 1010, ms: 12_000 },
      { size: 990, ms: 10_000 },
    ];
    const pace = { renewalsPerSecond: 100, reactionMs: 500, waves };
    const plan = planWith({ firstWave: 100, waveSize: 1000, gatePercent: 90 });
    // The one in the middle had ten members less.
    expect(predict(2100, plan, pace).totalMs).toBe(2000 + 2 * (10_000 + 100));
    expect(predict(2000, planWith({}), { ...pace, waves: waves.slice(0, 2) }).totalMs).toBe(9000 + 10_000);
    // Where a rate is asked for nobody queues.
    expect(predict(1000, planWith({ ratePerMinute: 1000 }), pace).totalMs).toBe(59_940 + 500);
  });
});

/** Devices that hear of their call after some time each, by the virtual clock. */
async function carry(lab: Lab, name: string, afterSeconds: number): Promise<number> {
  const begun = lab.house.clock.now();
  const calledAt = new Map<number, number>();
  const { id = 0 } = (await lab.house.ledger.read.findCampaign(name)) ?? {};
  for (let at = 0; at < 5000; at += 1) {
    await lab.tick(1);
    if ((await lab.state(name)) === 'done') return (lab.house.clock.now() - begun) / SECOND;
    const now = lab.house.clock.now();
    const seen: EnrollmentResult[] = [];
    const called = await lab.house.ledger.read.listMembers(id, { state: 'called', after: 0, limit: 1000 });
    for (const { deviceId } of called) {
      const since = calledAt.get(deviceId) ?? now;
      calledAt.set(deviceId, since);
      if (now - since < afterSeconds * SECOND) continue;
      const [device] = await lab.house.ledger.read.findDevicesById([deviceId]);
      seen.push(await lab.renew(device?.serialNumber ?? ''));
    }
    if (seen.length > 0) await lab.see(...seen);
  }
  throw new Error('it did not come to its end');
}

test('what a plan foretells is within a fifth of what then happens, once one campaign has shown how devices follow', async () => {
  using lab = await openLab();
  await lab.fleet(namesOf(10, 'CANARY-'), { batch: 'B-0' });
  await lab.fleet(namesOf(60));
  await lab.campaigns.plan('canary', planWith({ selection: { batch: 'B-0' } }), ANNA);
  await lab.campaigns.start('canary', ANNA);
  await carry(lab, 'canary', 40);
  const plan = planWith({ firstWave: 6, waveSize: 18, gatePercent: 90, ratePerMinute: 30 });
  const planned = await lab.campaigns.plan('recall', plan, ANNA);
  const { prediction } = await lookAt(planned, lab.room);
  expect(prediction).toMatchObject({ waves: 4 });
  await lab.campaigns.start('recall', ANNA);
  const seconds = await carry(lab, 'recall', 40);
  const ratio = (prediction?.totalMs ?? 0) / SECOND / seconds;
  expect(ratio).toBeGreaterThan(0.8);
  expect(ratio).toBeLessThan(1.2);
});
