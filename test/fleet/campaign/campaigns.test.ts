import { describe, expect, test } from 'vitest';
import { newKey } from '../../house.ts';
import { ANNA, BELA, codeOfAsync, namesOf, openLab, planWith } from './lab.ts';

describe('a plan', () => {
  test('makes each device of its selection a member once, whatever certificates it has, and nobody else', async () => {
    using lab = await openLab();
    const names = namesOf(5);
    await lab.fleet(names);
    await lab.renew('SN-0000');
    await lab.fleet(['OTHER-1'], { batch: 'B-2' });
    expect(await lab.campaigns.plan('recall', planWith({}), ANNA)).toMatchObject({ state: 'planned' });
    expect(await lab.tally('recall')).toEqual({ waiting: 5 });
    const { id = 0 } = (await lab.house.ledger.read.findCampaign('recall')) ?? {};
    const count = async (kind: 'certificate' | 'profile' | 'recovery' | 'seen' | 'batch') =>
      (await lab.house.ledger.read.campaignFacts(id, kind, 10)).facts.map((fact) => [fact.name, fact.count]);
    expect(await count('certificate')).toEqual([['all', 6]]);
    expect(await count('profile')).toEqual([['ldevid', 6]]);
    expect(await count('batch')).toEqual([['B-1', 5]]);
    expect(await count('recovery')).toEqual([['idevid', 5]]);
    expect(await count('seen')).toEqual([['never', 5]]);
  });

  test('does nothing to any device, and is forgotten without a trace where it is dropped', async () => {
    using lab = await openLab();
    const [one] = await lab.fleet(namesOf(3));
    await lab.campaigns.plan('recall', planWith({ access: 'revoke', reason: 'keyCompromise' }), ANNA);
    await lab.tick(60);
    expect(await lab.statusOf(one!)).toBe('good');
    expect(await lab.callsFor(one!)).toBe(0);
    await lab.campaigns.drop('recall', ANNA);
    expect(await lab.state('recall')).toBeUndefined();
    expect(await lab.campaigns.plan('recall', planWith({}), ANNA)).toMatchObject({ state: 'planned' });
  });

  test.each([
    ['by model', { model: 'M-1' }, 2],
    ['by issuer', { issuer: 'ldevid', model: 'M-1' }, 2],
    ['by another issuer', { issuer: 'idevid', model: 'M-1' }, 0],
    ['by the beginning of the serial number', { device: 'SN-000' }, 4],
    ['by a namespace that is not there', { device: 'SN-', namespace: 'acme' }, 0],
    ['by profile and batch', { profile: 'ldevid', batch: 'B-1' }, 2],
    ['by algorithm', { keyAlgorithms: ['ec-p256' as const] }, 4],
    ['by another algorithm', { keyAlgorithms: ['rsa' as const] }, 0],
    ['by time', { issuedFrom: 1 }, 4],
    ['by another time', { issuedBefore: 1000 }, 0],
    ['by who was never seen', { notSeenSince: 9e12 }, 4],
  ])('%s finds what it says', async (_title, selection, members) => {
    using lab = await openLab();
    await lab.fleet(namesOf(2), { batch: 'B-1' });
    await lab.fleet(['SN-0002', 'SN-0003'], { model: 'M-1' });
    await lab.campaigns.plan('one', planWith({ selection }), ANNA);
    expect((await lab.tally('one')).waiting ?? 0).toBe(members);
  });

  test('by key, by lineage, and by when a device was seen last', async () => {
    using lab = await openLab();
    const key = newKey();
    const [first] = await lab.fleet(namesOf(2));
    const mine = await lab.renew('SN-0000', { key });
    const { keyHash } = (await lab.house.ledger.read.findBySerial(mine.serial))!;
    const select = async (name: string, selection: object) => {
      await lab.campaigns.plan(name, planWith({ selection }), ANNA);
      const { id = 0 } = (await lab.house.ledger.read.findCampaign(name)) ?? {};
      return (await lab.house.ledger.read.findCampaignCertificates(id, [1, 2])).length;
    };
    expect(await select('key', { key: Buffer.from(keyHash).toString('hex') })).toBe(1);
    expect(await select('no-key', { key: '00'.repeat(32) })).toBe(0);
    expect(await select('lineage', { lineage: Buffer.from(first!.serial).toString('hex') })).toBe(1);
    await lab.see(first!);
    expect(await select('silent', { notSeenSince: lab.house.clock.now() })).toBe(2);
    expect(
      await codeOfAsync(lab.campaigns.plan('nothing', planWith({ selection: { lineage: '0a' } }), ANNA)),
    ).toBe('not-found');
    expect(await lab.state('nothing')).toBeUndefined();
  });

  test('leaves out what is revoked or has ended, and takes what is held', async () => {
    using lab = await openLab();
    const [one, two] = await lab.fleet(namesOf(3));
    await lab.house.revoker({ act: 'revoke', by: { kind: 'serial', serial: one!.serial } }, ANNA);
    await lab.house.revoker({ act: 'hold', by: { kind: 'serial', serial: two!.serial } }, ANNA);
    await lab.campaigns.plan('recall', planWith({}), ANNA);
    expect(await lab.tally('recall')).toEqual({ waiting: 2 });
    lab.house.clock.pass(3 * 366 * 86_400_000);
    await lab.campaigns.plan('late', planWith({}), ANNA);
    expect(await lab.tally('late')).toEqual({});
    expect(await codeOfAsync(lab.campaigns.start('late', ANNA))).toBe('bad-request');
  });

  test.each([
    ['nothing selected', { selection: {} }],
    ['only a namespace', { selection: { namespace: 'own' } }],
    ['an unknown thing selected', { selection: { colour: 'red' } }],
    ['stragglers without a deadline', { stragglers: 'revoke' }],
    ['a gate without waves', { gatePercent: 90 }],
    ['what is revoked at once as superseded', { access: 'revoke' }],
    ['what is compromised and kept without a deadline', { reason: 'keyCompromise' }],
    ['a percentage above 100', { gatePercent: 101, waveSize: 5 }],
  ])('with %s is refused', async (_title, changes) => {
    using lab = await openLab();
    expect(await codeOfAsync(lab.campaigns.plan('recall', { ...planWith({}), ...changes }, ANNA))).toBe(
      'bad-request',
    );
    expect(await lab.state('recall')).toBeUndefined();
  });

  test('has a name that is a label and nobody else has', async () => {
    using lab = await openLab();
    await lab.campaigns.plan('recall', planWith({}), ANNA);
    expect(await codeOfAsync(lab.campaigns.plan('recall', planWith({}), BELA))).toBe('already-exists');
    expect(await codeOfAsync(lab.campaigns.plan('Recall!', planWith({}), ANNA))).toBe('name-invalid');
  });
});

describe('an act', () => {
  test('is for the right state only: of two who start a campaign the second is told of the first', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', planWith({}), ANNA);
    const both = await Promise.allSettled([
      lab.campaigns.start('recall', ANNA),
      lab.campaigns.start('recall', BELA),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = both.find((one) => one.status === 'rejected');
    expect(String(refused?.reason.message)).toContain('is running (started by operator:anna at ');
    expect(await codeOfAsync(lab.campaigns.resume('recall', ANNA))).toBe('campaign-state');
    expect(await codeOfAsync(lab.campaigns.drop('recall', ANNA))).toBe('campaign-state');
    expect(await codeOfAsync(lab.campaigns.start('nobody', ANNA))).toBe('not-found');
  });

  test('by a second operator only, where the plan asks for it', async () => {
    using lab = await openLab();
    await lab.fleet(namesOf(2));
    await lab.campaigns.plan('recall', planWith({ approval: true }), ANNA);
    expect(await codeOfAsync(lab.campaigns.start('recall', ANNA))).toBe('campaign-state');
    expect(await codeOfAsync(lab.campaigns.approve('recall', ANNA))).toBe('forbidden');
    expect(await codeOfAsync(lab.campaigns.approve('recall', 'token:annas', { madeBy: ANNA }))).toBe(
      'forbidden',
    );
    expect(await lab.campaigns.approve('recall', BELA)).toMatchObject({ approvedBy: BELA });
    expect(await lab.campaigns.start('recall', ANNA)).toMatchObject({ state: 'running', startedBy: ANNA });
  });

  test('is in the audit record with who did it', async () => {
    using lab = await openLab();
    const [one] = await lab.fleet(namesOf(1));
    await lab.campaigns.plan('recall', planWith({}), ANNA);
    await lab.campaigns.start('recall', BELA);
    await lab.campaigns.pause('recall', ANNA);
    await lab.campaigns.resume('recall', ANNA);
    await lab.tick();
    await lab.see(await lab.renew('SN-0000'));
    await lab.tick();
    expect(one).toBeDefined();
    const { items } = await lab.house.ledger.read.listAudit({ limit: 1000 });
    const acts = items.filter(({ subject }) => subject === 'campaign:recall');
    expect(acts.map(({ action, actor }) => `${action} ${actor}`)).toEqual([
      `campaign.plan ${ANNA}`,
      `campaign.start ${BELA}`,
      `campaign.pause ${ANNA}`,
      `campaign.resume ${ANNA}`,
      'campaign.wave campaign:recall',
      'campaign.done campaign:recall',
    ]);
  });
});
