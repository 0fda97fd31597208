import { describe, expect, test } from 'vitest';
import type { ProfileConfig } from '../../../src/ca/profile-config.ts';
import { activateGeneration } from '../../../src/ca/rollover/activate-generation.ts';
import { prepareGeneration } from '../../../src/ca/rollover/prepare-generation.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import { campaignBeat } from '../../../src/fleet/campaign/engine.ts';
import { createDeviceDesk } from '../../../src/fleet/recovery/device-desk.ts';
import { newKey, outcomeCode } from '../../house.ts';
import { living } from '../rotation/living.ts';
import { ANNA, codeOfAsync, type Lab, namesOf, openLab, planWith } from './lab.ts';

/** Another profile of LDevIDs. */
const OTHER: Partial<ProfileConfig> = {
  kind: 'ldevid',
  authority: 'ldevid',
  validityDays: 90,
  extendedKeyUsage: ['clientAuth'],
};

/** A device hears that it is called, renews, and is seen with the new credential. */
async function followAll(lab: Lab, names: readonly string[]): Promise<readonly EnrollmentResult[]> {
  const fresh: EnrollmentResult[] = [];
  for (const name of names) fresh.push(await lab.renew(name));
  await lab.see(...fresh);
  return fresh;
}

describe('waves', () => {
  test('are as large as the plan says, and the next one waits for the gate of the one before', async () => {
    using lab = await openLab();
    const names = namesOf(10);
    await lab.fleet(names);
    const plan = planWith({ firstWave: 2, waveSize: 4, gatePercent: 75, gateWaitSeconds: 600 });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ called: 2, waiting: 8 });
    await followAll(lab, ['SN-0000']);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ called: 1, replaced: 1, waiting: 8 });
    await followAll(lab, ['SN-0001']);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ called: 4, replaced: 2, waiting: 4 });
    // Three of four are 75 %.
    await followAll(lab, ['SN-0002', 'SN-0003', 'SN-0004']);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ called: 5, replaced: 5 });
    await followAll(lab, names.slice(5));
    await lab.tick();
    expect(await lab.state('recall')).toBe('done');
    expect(await lab.tally('recall')).toEqual({ replaced: 10 });
  });

  test('follow each other at once while members move, and are looked at now and then while none does', async () => {
    using lab = await openLab();
    const names = namesOf(4);
    await lab.fleet(names);
    await lab.campaigns.plan('recall', planWith({ waveSize: 2, gatePercent: 100 }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    const beat = campaignBeat(lab.room);
    const beats = async (count: number) => {
      for (let at = 0; at < count; at += 1) await beat();
      return lab.tally('recall');
    };
    expect(await beats(9)).toEqual({ waiting: 4 });
    expect(await beats(1)).toEqual({ called: 2, waiting: 2 });
    await followAll(lab, names.slice(0, 2));
    expect(await beats(1)).toEqual({ called: 2, replaced: 2 });
    await beats(1);
    await followAll(lab, names.slice(2));
    expect(await beats(9)).toEqual({ called: 2, replaced: 2 });
    expect(await beats(1)).toEqual({ replaced: 4 });
  });

  test('whose gate stays shut pause the campaign and raise an incident; a resume waives that gate', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(6));
    const plan = planWith({ waveSize: 3, gatePercent: 100, gateWaitSeconds: 60 });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await followAll(lab, ['SN-0000', 'SN-0001']);
    await lab.tick(59);
    expect(await lab.state('recall')).toBe('running');
    await lab.tick(2);
    expect(await lab.house.ledger.read.findCampaign('recall')).toMatchObject({
      state: 'paused',
      pausedBecause: 'the gate of wave 1 stayed shut: 2 of 3 followed in time, 100 % were wanted',
    });
    const { items } = await lab.house.ledger.read.listIncidents({ limit: 10 });
    expect(items).toMatchObject([{ kind: 'campaign-gate', facts: { wave: 1, followed: 2, members: 3 } }]);
    await lab.tick(600);
    expect(await lab.tally('recall')).toEqual({ called: 1, replaced: 2, waiting: 3 });
    await lab.campaigns.resume('recall', ANNA);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ called: 4, replaced: 2 });
  });

  test('that an operator paused and resumed wait for their gate anew', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(4));
    const plan = planWith({ waveSize: 2, gatePercent: 100, gateWaitSeconds: 60 });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await lab.campaigns.pause('recall', ANNA);
    await lab.tick(500);
    await lab.campaigns.resume('recall', ANNA);
    await lab.tick(30);
    expect(await lab.state('recall')).toBe('running');
    expect(await lab.tally('recall')).toEqual({ called: 2, waiting: 2 });
    await lab.tick(31);
    expect(await lab.state('recall')).toBe('paused');
  });

  test('call no faster than the rate, and do not catch up on time when the engine was away', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(12));
    await lab.campaigns.plan('recall', planWith({ ratePerMinute: 30 }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    const called: number[] = [];
    for (const seconds of [0, 1, 1, 2, 1]) {
      await lab.tick(seconds);
      called.push((await lab.tally('recall')).called ?? 0);
    }
    expect(called).toEqual([1, 1, 2, 3, 3]);
    await lab.tick(3600);
    // Ten seconds of 30 a minute.
    expect((await lab.tally('recall')).called).toBe(8);
  });

  test('call nobody while paused, and who follows meanwhile is counted', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(4));
    await lab.campaigns.plan('recall', planWith({ waveSize: 2 }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.campaigns.pause('recall', ANNA);
    await lab.tick(100);
    expect(await lab.tally('recall')).toEqual({ waiting: 4 });
    await followAll(lab, ['SN-0003']);
    await lab.tick(100);
    expect(await lab.tally('recall')).toEqual({ replaced: 1, waiting: 3 });
  });
});

describe('a member', () => {
  test('has its call for renewal once, and has followed when its new credential was seen, not before', async () => {
    using lab = await openLab();
    const [old] = await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', planWith({}), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await lab.tick();
    expect(await lab.callsFor(old!)).toBe(1);
    const fresh = await lab.renew('SN-0000');
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ renewed: 1, called: 1 });
    await lab.see(old!);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ renewed: 1, called: 1 });
    await lab.see(fresh);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ replaced: 1, called: 1 });
    // That it was merely replaced is its rotation's to say, after the grace.
    expect(await lab.statusOf(old!)).not.toBe('keyCompromise');
  });

  test('that renewed twice before it was seen has followed with either of the two', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(1));
    await lab.campaigns.plan('recall', planWith({}), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    const first = await lab.renew('SN-0000');
    await lab.renew('SN-0000');
    await lab.see(first);
    await lab.tick();
    expect(await lab.state('recall')).toBe('done');
  });

  test('that renewed by itself before its turn is not called', async () => {
    using lab = await openLab();
    const [, old] = await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', planWith({ waveSize: 1, gatePercent: 100 }), ANNA);
    await followAll(lab, ['SN-0001']);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await followAll(lab, ['SN-0000']);
    await lab.tick();
    await lab.tick();
    expect(await lab.state('recall')).toBe('done');
    expect(await lab.callsFor(old!)).toBe(0);
  });

  test('has not followed by a credential of another profile, whether that came before its call or after', async () => {
    using lab = await openLab({ profiles: { other: OTHER } });
    const [old] = await lab.fleet(namesOf(1));
    await lab.see(await lab.renew('SN-0000', { profile: 'other' }));
    const selection = { batch: 'B-1', profile: 'ldevid' };
    const plan = planWith({ selection, reason: 'privilegeWithdrawn', deadlineSeconds: 3600 });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    expect([await lab.tally('recall'), await lab.callsFor(old!)]).toEqual([{ called: 1 }, 1]);
    await lab.see(await lab.renew('SN-0000', { profile: 'other' }));
    await lab.tick();
    expect([await lab.tally('recall'), await lab.statusOf(old!)]).toEqual([{ called: 1 }, 'good']);
    await followAll(lab, ['SN-0000']);
    await lab.tick();
    expect([await lab.tally('recall'), await lab.statusOf(old!)]).toEqual([
      { replaced: 1 },
      'privilegeWithdrawn',
    ]);
  });

  test('whose credentials of two profiles are replaced has followed with both, and keeps the old ones until then', async () => {
    using lab = await openLab({ profiles: { other: OTHER } });
    const [old] = await lab.fleet(namesOf(1));
    const other = await lab.renew('SN-0000', { profile: 'other' });
    await lab.campaigns.plan(
      'recall',
      planWith({ reason: 'privilegeWithdrawn', deadlineSeconds: 3600 }),
      ANNA,
    );
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await followAll(lab, ['SN-0000']);
    await lab.tick();
    expect([await lab.tally('recall'), await lab.statusOf(old!), await lab.statusOf(other)]).toEqual([
      { called: 1 },
      'good',
      'good',
    ]);
    const fresh = await lab.renew('SN-0000', { profile: 'other' });
    await lab.tick();
    expect([await lab.tally('recall'), await lab.statusOf(other)]).toEqual([{ renewed: 1 }, 'good']);
    await lab.see(fresh);
    await lab.tick();
    expect([await lab.tally('recall'), await lab.statusOf(old!), await lab.statusOf(other)]).toEqual([
      { replaced: 1 },
      'privilegeWithdrawn',
      'privilegeWithdrawn',
    ]);
  });

  test('of an algorithm migration counts only with a key of the wanted algorithm', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(2));
    const plan = planWith({
      preset: 'algorithm-migration',
      selection: { keyAlgorithms: ['ec-p256'] },
      wanted: { keyAlgorithms: ['ec-p384'] },
    });
    await lab.campaigns.plan('to-p384', plan, ANNA);
    await lab.campaigns.start('to-p384', ANNA);
    await lab.tick();
    const same = await lab.renew('SN-0000');
    const other = await lab.renew('SN-0001', { key: newKey('P-384') });
    await lab.see(same, other);
    await lab.tick();
    expect(await lab.tally('to-p384')).toEqual({ called: 1, replaced: 1 });
    await lab.see(await lab.renew('SN-0000', { key: newKey('P-384') }));
    await lab.tick();
    expect(await lab.state('to-p384')).toBe('done');
  });

  test('of a rotated CA counts only with a certificate of another one, which must issue before there is a plan', async () => {
    using lab = await openLab();
    const { house } = lab;
    await lab.fleet(namesOf(2));
    const plan = planWith({ preset: 'rotate-ca', selection: { issuer: 'ldevid' } });
    expect(await codeOfAsync(lab.campaigns.plan('ca', plan, ANNA))).toBe('bad-request');
    await prepareGeneration(house.rollover, { family: 'ldevid' }, ANNA);
    const late = await lab.renew('SN-0000');
    await activateGeneration(house.rollover, { family: 'ldevid', now: true }, ANNA);
    await lab.campaigns.plan('ca', plan, ANNA);
    await lab.campaigns.start('ca', ANNA);
    await lab.tick();
    await lab.see(late);
    await lab.tick();
    expect(await lab.tally('ca')).toEqual({ called: 2 });
    await lab.see(await lab.renew('SN-0000'), await lab.renew('SN-0001'));
    await lab.tick();
    expect(await lab.state('ca')).toBe('done');
    const other = planWith({ preset: 'rotate-ca', selection: { issuer: 'nobody' } });
    expect(await codeOfAsync(lab.campaigns.plan('other', other, ANNA))).toBe('bad-request');
  });

  test('has followed with its new certificate already, where the plan says that issued is enough', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(1));
    await lab.campaigns.plan('recall', planWith({ success: 'issued' }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await lab.renew('SN-0000');
    await lab.tick();
    expect(await lab.state('recall')).toBe('done');
  });
});

describe('what is to be revoked at once', () => {
  test('is when the start returns, with its key blocked, and devices come back by their IDevID', async () => {
    using lab = await openLab();
    const names = namesOf(3);
    const key = newKey();
    await lab.fleet(names.slice(1));
    await lab.house.grant('SN-0000', { batch: 'B-1' });
    const stolen = await lab.house.grant('SN-0000', { batch: 'B-1', profile: 'ldevid', key });
    const [outsider] = await lab.fleet(['OUT-1'], { batch: 'B-2' });
    const plan = planWith({ preset: 'firmware-key-leak', access: 'revoke', reason: 'keyCompromise' });
    await lab.campaigns.plan('leak', plan, ANNA);
    await lab.campaigns.start('leak', ANNA);
    expect([await lab.statusOf(stolen), await lab.statusOf(outsider!)]).toEqual(['keyCompromise', 'good']);
    expect(outcomeCode(await lab.house.ask('SN-0000', { profile: 'ldevid', key }))).toBe('key-blocked');
    await lab.tick();
    expect(await lab.tally('leak')).toEqual({ called: 3 });
    await lab.see(await lab.recover('SN-0001'));
    await lab.tick();
    expect(await lab.tally('leak')).toEqual({ called: 2, replaced: 1 });
  });
});

describe('what is to be held at once', () => {
  const plan = planWith({ access: 'hold', reason: 'privilegeWithdrawn' });
  const stateOf = async (lab: Lab, serialNumber: string) =>
    (await lab.house.ledger.read.findDevices([{ namespace: 'own', serialNumber }]))[0]?.state;

  test('is held when the start returns; the device comes back by its IDevID only, and the old one is revoked', async () => {
    using lab = await openLab();
    const [old, other] = await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    expect([await lab.statusOf(old!), await stateOf(lab, 'SN-0000')]).toEqual(['held', 'quarantined']);
    await lab.tick();
    expect(outcomeCode(await lab.house.ask('SN-0000', { profile: 'ldevid' }))).not.toBe('granted');
    const fresh = await lab.recover('SN-0000');
    expect([await lab.statusOf(fresh), await stateOf(lab, 'SN-0000')]).toEqual(['good', 'recovering']);
    await lab.see(fresh);
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ called: 1, replaced: 1 });
    expect([await lab.statusOf(old!), await lab.statusOf(fresh), await lab.statusOf(other!)]).toEqual([
      'keyCompromise',
      'good',
      'held',
    ]);
  });

  test('is released by a rollback, and so is its device; what an operator held before stays held', async () => {
    using lab = await openLab();
    const [one, two, three] = await lab.fleet(namesOf(3));
    await lab.house.revoker({ act: 'hold', by: { kind: 'serial', serial: two!.serial } }, ANNA);
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await lab.see(await lab.recover('SN-0002'));
    await lab.tick();
    await lab.campaigns.rollBack('recall', ANNA);
    await lab.tick();
    expect(await lab.state('recall')).toBe('rolled-back');
    expect(await Promise.all([one!, two!, three!].map((each) => lab.statusOf(each)))).toEqual([
      'good',
      'held',
      'keyCompromise',
    ]);
    expect([await stateOf(lab, 'SN-0000'), await stateOf(lab, 'SN-0001')]).toEqual(['enrolled', 'held']);
  });

  test('takes along no credential of another profile when its device comes back', async () => {
    using lab = await openLab({ profiles: { other: OTHER } });
    const [old] = await lab.fleet(namesOf(1));
    const other = await lab.renew('SN-0000', { profile: 'other' });
    const selection = { batch: 'B-1', profile: 'ldevid' };
    await lab.campaigns.plan('recall', { ...plan, selection }, ANNA);
    await lab.campaigns.start('recall', ANNA);
    expect([await lab.statusOf(old!), await lab.statusOf(other)]).toEqual(['held', 'good']);
    const fresh = await lab.recover('SN-0000');
    expect([await lab.statusOf(old!), await lab.statusOf(other), await lab.statusOf(fresh)]).toEqual([
      'keyCompromise',
      'good',
      'good',
    ]);
  });

  test('leaves alone a device that renewed since the plan was made: it goes on with what it got', async () => {
    using lab = await openLab();
    const [old] = await lab.fleet(namesOf(1));
    await lab.campaigns.plan('recall', plan, ANNA);
    const [fresh] = await followAll(lab, ['SN-0000']);
    await lab.campaigns.start('recall', ANNA);
    expect([await lab.statusOf(old!), await lab.statusOf(fresh!)]).toEqual(['held', 'good']);
    await lab.tick();
    expect([await lab.tally('recall'), await stateOf(lab, 'SN-0000')]).toEqual([{ replaced: 1 }, 'active']);
    expect(await lab.statusOf(old!)).toBe('privilegeWithdrawn');
    expect(outcomeCode(await lab.house.ask('SN-0000', { profile: 'ldevid' }))).toBe('granted');
  });

  test('stays held after a rollback where somebody else shut the device out meanwhile, until that ends', async () => {
    using lab = await openLab();
    const [shutOut, other] = await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    const device = { namespace: 'own', serialNumber: 'SN-0000' };
    await lab.house.deviceDesk('quarantine', device, ANNA);
    await lab.campaigns.rollBack('recall', ANNA);
    await lab.tick();
    expect([await lab.statusOf(shutOut!), await stateOf(lab, 'SN-0000')]).toEqual(['held', 'quarantined']);
    expect([await lab.statusOf(other!), await stateOf(lab, 'SN-0001')]).toEqual(['good', 'enrolled']);
    await lab.house.deviceDesk('release', device, ANNA);
    expect([await lab.statusOf(shutOut!), await stateOf(lab, 'SN-0000')]).toEqual(['good', 'enrolled']);
  });

  test('stays held after a rollback where another campaign holds it as well, which can be rolled back then', async () => {
    using lab = await openLab();
    const [both, one] = await lab.fleet(namesOf(2));
    await lab.campaigns.plan('mistake', plan, ANNA);
    await lab.campaigns.plan('leak', { ...plan, selection: { device: 'SN-0000' } }, ANNA);
    await lab.campaigns.start('mistake', ANNA);
    await lab.campaigns.start('leak', ANNA);
    await lab.tick();
    await lab.campaigns.rollBack('mistake', ANNA);
    await lab.tick();
    expect([await lab.statusOf(both!), await lab.statusOf(one!)]).toEqual(['held', 'good']);
    expect([await stateOf(lab, 'SN-0000'), await stateOf(lab, 'SN-0001')]).toEqual([
      'quarantined',
      'enrolled',
    ]);
    await lab.campaigns.rollBack('leak', ANNA);
    await lab.tick();
    expect([await lab.statusOf(both!), await stateOf(lab, 'SN-0000')]).toEqual(['good', 'enrolled']);
  });

  test('gives a device that an operator quarantined no way back', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(2));
    const device = { namespace: 'own', serialNumber: 'SN-0000' };
    await quarantineByHand(lab, device);
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    expect(await codeOfAsync(lab.recover('SN-0000'))).not.toBe('accepted');
    expect(await codeOfAsync(lab.recover('SN-0001'))).toBe('accepted');
  });
});

describe('at the deadline', () => {
  test.each([
    ['revoke', 'revoked', 'keyCompromise'],
    ['quarantine', 'quarantined', 'held'],
    ['leave', 'left', 'good'],
  ] as const)(
    'stragglers that are to %s end as %s; who followed is left alone',
    async (stragglers, end, status) => {
      using lab = await openLab();
      const names = namesOf(3);
      const old = await lab.fleet(names);
      const plan = planWith({ reason: 'keyCompromise', deadlineSeconds: 3600, stragglers });
      await lab.campaigns.plan('leak', plan, ANNA);
      await lab.campaigns.start('leak', ANNA);
      await lab.tick();
      const [fresh] = await followAll(lab, ['SN-0000']);
      await lab.tick(3590);
      expect(await lab.tally('leak')).toEqual({ called: 2, replaced: 1 });
      expect(await lab.statusOf(old[1]!)).toBe('good');
      await lab.tick(10);
      expect(await lab.tally('leak')).toEqual({ [end]: 2, replaced: 1 });
      expect(await lab.state('leak')).toBe('done');
      expect([await lab.statusOf(old[1]!), await lab.statusOf(old[2]!)]).toEqual([status, status]);
      // Who followed is replaced for the campaign's reason, and keeps the new one.
      expect([await lab.statusOf(old[0]!), await lab.statusOf(fresh!)]).toEqual(['keyCompromise', 'good']);
    },
  );

  test('nobody who followed is late, also where a signature that is waited for keeps it from being noted', async () => {
    using lab = await openLab({
      faulty: (ledger) => ({
        ...ledger,
        // Reserved, and never signed: its row is before those of the renewals.
        write: (work) =>
          ledger.write((tx) =>
            work({
              ...tx,
              commit: async (signed) => {
                const reserved = (await tx.findReserved(10)).filter(({ holder }) => holder === 'SN-X');
                if (reserved.length > 0 && signed.some(({ id }) => id === reserved[0]?.id))
                  throw new Error('the signer is gone');
                return tx.commit(signed);
              },
            }),
          ),
      }),
    });
    await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', planWith({ deadlineSeconds: 3600, stragglers: 'quarantine' }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    await expect(lab.house.ask('SN-X')).rejects.toThrow('the signer is gone');
    const [fresh] = await followAll(lab, ['SN-0000']);
    await lab.tick(3600);
    expect([await lab.tally('recall'), await lab.statusOf(fresh!)]).toEqual([
      { replaced: 1, quarantined: 1 },
      'good',
    ]);
  });

  test('the time that a campaign was paused does not count', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(2));
    const plan = planWith({ deadlineSeconds: 100, stragglers: 'revoke' });
    await lab.campaigns.plan('recall', plan, ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick(50);
    await lab.campaigns.pause('recall', ANNA);
    await lab.tick(1000);
    expect(await lab.tally('recall')).toEqual({ called: 2 });
    await lab.campaigns.resume('recall', ANNA);
    await lab.tick(45);
    expect(await lab.tally('recall')).toEqual({ called: 2 });
    await lab.tick(6);
    expect(await lab.tally('recall')).toEqual({ revoked: 2 });
  });
});

describe('a rollback', () => {
  test('takes calls back, and leaves alone who has followed or is about to', async () => {
    using lab = await openLab();
    const old = await lab.fleet(namesOf(4));
    await lab.campaigns.plan('recall', planWith({ waveSize: 3 }), ANNA);
    await lab.campaigns.start('recall', ANNA);
    await lab.tick();
    const [used] = await followAll(lab, ['SN-0000']);
    const unseen = await lab.renew('SN-0001');
    await lab.tick();
    expect(await lab.tally('recall')).toEqual({ replaced: 1, renewed: 1, called: 2 });
    await lab.campaigns.rollBack('recall', ANNA);
    await lab.tick();
    expect(await lab.state('recall')).toBe('rolled-back');
    expect(await lab.tally('recall')).toEqual({ replaced: 1, 'rolled-back': 3 });
    expect(await Promise.all(old.slice(1).map((one) => lab.callsFor(one)))).toEqual([0, 0, 0]);
    expect(await Promise.all([...old.slice(1), unseen, used!].map((one) => lab.statusOf(one)))).toEqual([
      'good',
      'good',
      'good',
      'good',
      'good',
    ]);
    // Its device had it already: it goes over as after any renewal.
    await lab.see(unseen);
    const { graceMs } = lab.house.rotation;
    lab.house.clock.pass(graceMs + 1000);
    await living(lab.house).retire();
    expect([await lab.statusOf(old[1]!), await lab.statusOf(unseen)]).toEqual(['superseded', 'good']);
  });

  test('keeps a new credential where the old one was revoked for good', async () => {
    using lab = await openLab();
    const [old] = await lab.fleet(namesOf(1));
    await lab.campaigns.plan('leak', planWith({ access: 'revoke', reason: 'keyCompromise' }), ANNA);
    await lab.campaigns.start('leak', ANNA);
    await lab.tick();
    const fresh = await lab.recover('SN-0000');
    await lab.tick();
    await lab.campaigns.rollBack('leak', ANNA);
    await lab.tick();
    expect([await lab.statusOf(old!), await lab.statusOf(fresh)]).toEqual(['keyCompromise', 'good']);
  });
});

function quarantineByHand(lab: Lab, device: { namespace: string; serialNumber: string }) {
  const desk = createDeviceDesk({ ...lab.room, ledger: lab.house.ledger });
  return desk('quarantine', device, ANNA);
}
