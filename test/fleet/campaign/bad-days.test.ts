// Days on which a campaign has everything against it, each by its name.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CampaignPlan } from '../../../src/fleet/campaign/plan.ts';
import { DAY_MS, testClock } from '../../house.ts';
import { living } from '../rotation/living.ts';
import { ANNA, BELA, type Lab, namesOf, openLab, planWith } from './lab.ts';

const DAY_S = DAY_MS / 1000;

describe('two operators who start the same campaign at once, each with the ledger open for himself', () => {
  test('start it once: one does, the other hears who did, and each credential is taken once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-two-'));
    const clock = testClock();
    try {
      const path = join(folder, 'ledger.db');
      using annas = await openLab({ path, clock });
      using belas = await openLab({ path, clock });
      const old = await annas.fleet(namesOf(30));
      const plan = planWith({ access: 'revoke', reason: 'keyCompromise' });
      await annas.campaigns.plan('leak', plan, ANNA);
      const both = await Promise.allSettled([
        annas.campaigns.start('leak', ANNA),
        belas.campaigns.start('leak', BELA),
      ]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const refused = both.find((one) => one.status === 'rejected');
      expect(refused?.reason).toMatchObject({
        code: 'campaign-state',
        message: expect.stringMatching(/is running \(started by operator:(anna|bela) at /),
      });
      await Promise.all([annas.tick(), belas.tick(0)]);
      expect(await Promise.all(old.map((one) => annas.statusOf(one)))).toEqual(
        old.map(() => 'keyCompromise'),
      );
      const { items } = await annas.house.ledger.read.listAudit({ limit: 1000 });
      const count = (action: string) => items.filter((one) => one.action === action).length;
      expect([count('campaign.start'), count('certificate.revoke')]).toEqual([1, old.length]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a broker that never reports', () => {
  const NAMES = namesOf(4);
  /** They renew, and nobody ever tells that a new one is used. */
  async function renewAll(lab: Lab, names = NAMES) {
    const fresh = [];
    for (const name of names) fresh.push(await lab.renew(name));
    return fresh;
  }

  test('keeps the gate of a wave shut: the campaign pauses and tells people, and takes nothing from anybody', async () => {
    using lab = await openLab();
    const old = await lab.fleet(NAMES);
    const plan = planWith({ waveSize: 2, gatePercent: 50, gateWaitSeconds: 3600 });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    const fresh = await renewAll(lab, NAMES.slice(0, 2));
    await lab.tick(3601);
    await lab.tick();
    const tally = await lab.tally('recall');
    expect([await lab.state('recall'), tally]).toEqual(['paused', { renewed: 2, waiting: 2 }]);
    const { items } = await lab.house.ledger.read.listIncidents({ limit: 10 });
    expect(items).toMatchObject([{ kind: 'campaign-gate', facts: { wave: 1, followed: 0, members: 2 } }]);
    for (const one of [...old, ...fresh]) expect(await lab.statusOf(one)).toBe('good');
  });

  test('leaves each device with its new credential when the deadline takes the old ones', async () => {
    using lab = await openLab();
    const old = await lab.fleet(NAMES);
    const plan = planWith({ deadlineSeconds: 3600, stragglers: 'revoke' });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    const fresh = await renewAll(lab);
    await lab.tick(3600);
    await lab.tick();
    expect(await lab.state('recall')).toBe('done');
    for (const one of old) expect(await lab.statusOf(one)).toBe('superseded');
    for (const one of fresh) expect(await lab.statusOf(one)).toBe('good');
  });

  test('is no matter where issued counts as followed', async () => {
    using lab = await openLab();
    await lab.fleet(NAMES);
    await lab.campaigns.plan('recall', planWith({ success: 'issued' }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await renewAll(lab);
    await lab.tick();
    expect([await lab.state('recall'), await lab.tally('recall')]).toEqual(['done', { replaced: 4 }]);
  });
});

test('a thief who renews first, in the middle of a campaign: two hold the identity, and its owner comes back and has followed', async () => {
  using lab = await openLab();
  const life = living(lab.house);
  const [old] = await lab.fleet(['SN-1', 'SN-2']);
  if (!old) throw new Error('nobody was born');
  await lab.see(old);
  await lab.campaigns.plan('recall', planWith({}), ANNA);
  await lab.campaigns.start('recall', ANNA);
  await lab.tick();
  const thiefs = await life.come(old, { renews: true });
  await lab.see(thiefs);
  // The device, which knows of nothing, goes on with what it has.
  lab.house.clock.pass(301_000);
  await lab.see(old);
  expect([await lab.statusOf(thiefs), await life.state('SN-1')]).toEqual(['held', 'quarantined']);
  await lab.tick();
  const own = await lab.recover('SN-1');
  await lab.see(own);
  await lab.tick();
  expect([await lab.statusOf(thiefs), await lab.statusOf(old), await lab.statusOf(own)]).toEqual([
    'keyCompromise',
    'keyCompromise',
    'good',
  ]);
  expect(await lab.tally('recall')).toEqual({ replaced: 1, called: 1 });
});

describe('an authority down for a week', () => {
  const plan = planWith({
    deadlineSeconds: 3 * DAY_S,
    stragglers: 'quarantine',
    waveSize: 2,
    gatePercent: 100,
  });
  /** Two were called when it went down, and could not come. */
  async function downForAWeek(lab: Lab, changes: Partial<CampaignPlan> = {}) {
    const old = await lab.fleet(namesOf(4));
    await lab.campaigns.plan('recall', { ...plan, ...changes }, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await lab.tick(7 * DAY_S);
    return old;
  }

  test('takes nothing from who could not come: the deadline and the gate wait for them as long again', async () => {
    using lab = await openLab();
    const old = await downForAWeek(lab, { gateWaitSeconds: DAY_S });
    expect([await lab.state('recall'), await lab.tally('recall')]).toEqual([
      'running',
      { called: 2, waiting: 2 },
    ]);
    expect(await Promise.all(old.map((one) => lab.callsFor(one)))).toEqual([1, 1, 0, 0]);
    await lab.see(await lab.renew('SN-0000'), await lab.renew('SN-0001'));
    await lab.tick();
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ replaced: 2, called: 2 });
    // An hour at a time: nobody is away.
    for (let hours = 1; hours < 72; hours += 1) await lab.tick(3600);
    expect(await lab.tally('recall')).toEqual({ replaced: 2, called: 2 });
    await lab.tick(3600);
    expect(await lab.tally('recall')).toEqual({ replaced: 2, quarantined: 2 });
    const { items } = await lab.house.ledger.read.listAudit({ limit: 1000 });
    expect(items.filter(({ action }) => action === 'campaign.away').map(({ facts }) => facts)).toEqual([
      { minutes: (7 * DAY_S) / 60, deadlineWaits: true },
    ]);
  });

  test('leaves the deadline where it is for credentials that are compromised', async () => {
    using lab = await openLab();
    await downForAWeek(lab, { reason: 'keyCompromise' });
    expect(await lab.tally('recall')).toEqual({ quarantined: 4 });
  });

  test('is no more added where it was paused: that time counts once', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', { ...plan, waveSize: 0, gatePercent: 0 }, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.campaigns.pause('recall', ANNA);
    await lab.tick(7 * DAY_S);
    const { pausedMs } = await lab.campaigns.resume('recall', ANNA);
    expect(pausedMs).toBe(7 * DAY_MS);
    await lab.tick();
    expect(await lab.house.ledger.read.findCampaign('recall')).toMatchObject({ pausedMs });
  });
});
