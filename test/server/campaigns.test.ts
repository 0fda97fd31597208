import { expect, test } from 'vitest';
import { operatorAdmission } from '../../src/enroll/admission.ts';
import { advanceCampaigns } from '../../src/fleet/campaign/engine.ts';
import { problemOf, startTestServer, type TestServer } from './test-server.ts';

async function withFleet(): Promise<TestServer> {
  const server = await startTestServer();
  const requests = ['SN-1', 'SN-2', 'SN-3'].map((name) =>
    server.house.request(name, { profile: 'ldevid', batch: 'B-1' }),
  );
  await server.house.enroll(requests, operatorAdmission('operator:test'));
  return server;
}

const BODY = { name: 'recall', preset: 'batch-recall', selection: { batch: 'B-1' } };

test('a campaign is planned, looked at, started, followed and told of, by those who may', async () => {
  await using server = await withFleet();
  const [operator, auditor, admin] = [
    await server.token('operator'),
    await server.token('auditor'),
    await server.token('admin'),
  ];
  const planned = await server.ask('POST', '/campaigns', { token: operator, body: BODY });
  expect(planned.json).toMatchObject({
    state: 'planned',
    plan: { selection: { batch: 'B-1' }, gatePercent: 90, stragglers: 'quarantine' },
    members: { waiting: 3 },
    blastRadius: {
      devices: 3,
      certificates: 3,
      profiles: { ldevid: 3 },
      batches: { 'B-1': 3 },
      batchCount: 1,
      canRecover: 0,
      cannotRecover: 3,
      neverSeen: 3,
    },
    prediction: { waves: 1 },
  });
  // A list foretells nothing: that is worked out for the one that is looked at.
  const { prediction, ...listed } = planned.json;
  expect((await server.ask('GET', '/campaigns', { token: auditor })).json.items).toEqual([listed]);
  const one = await server.ask('GET', '/campaigns/recall', { token: auditor });
  expect(one.json).toEqual({ ...listed, prediction });
  const started = await server.ask('POST', '/campaigns/recall/start', { token: operator });
  expect(started.json).toMatchObject({ state: 'running', startedBy: 'token:operator-1' });
  expect(Date.parse(started.json.deadlineAt) - Date.parse(started.json.startedAt)).toBe(14 * 86_400_000);
  const again = await server.ask('POST', '/campaigns/recall/start', { token: admin });
  expect(problemOf(again)).toBe('campaign-state 409');
  expect(again.json.detail).toContain('started by token:operator-1 at ');
  await advanceCampaigns(server.options.campaigns.room);
  const members = await server.ask('GET', '/campaigns/recall/members?state=called&limit=2', {
    token: auditor,
  });
  expect(members.json).toMatchObject({
    items: [
      { serialNumber: 'SN-1', state: 'called', wave: 1, access: 'keep' },
      { serialNumber: 'SN-2', state: 'called' },
    ],
  });
  const more = await server.ask('GET', `/campaigns/recall/members?cursor=${members.json.cursor}`, {
    token: auditor,
  });
  expect(more.json).toMatchObject({ items: [{ serialNumber: 'SN-3' }] });
  const metrics = await server.options.metrics.text();
  expect(metrics).toContain(
    'birthmark_campaign_members{campaign="recall",campaign_state="running",state="called"} 3',
  );
});

test('a selection with a time takes it as RFC 3339 writes it, and tells it so', async () => {
  await using server = await withFleet();
  const token = await server.token('operator');
  const issuedBefore = new Date(server.house.clock.now() + 1000).toISOString();
  const body = { name: 'old', selection: { issuedBefore } };
  const answer = await server.ask('POST', '/campaigns', { token, body });
  expect(answer.json).toMatchObject({ plan: { selection: { issuedBefore } }, members: { waiting: 3 } });
});

test.each([
  [
    'a preset that needs more',
    { ...BODY, selection: { model: undefined } },
    'bad-request 400:plan.selection.batch',
  ],
  [
    'an algorithm that nobody knows',
    { ...BODY, wanted: { keyAlgorithms: ['dsa'] } },
    'bad-request 400:wanted.keyAlgorithms.0',
  ],
  [
    'a profile that is not there',
    { name: 'recall', selection: { profile: 'nobody' } },
    'profile-unknown 400:selection.profile',
  ],
  [
    'IDevIDs without a word on them',
    { name: 'recall', selection: { profile: 'idevid' } },
    'profile-unknown 400:selection.profile',
  ],
  ['no name that is one', { ...BODY, name: 'Recall 7' }, 'name-invalid 400:name'],
  [
    'a time that is none',
    { name: 'recall', selection: { issuedFrom: 'soon' } },
    'bad-request 400:selection.issuedFrom',
  ],
  ['certificateHold as a reason', { ...BODY, reason: 'certificateHold' }, 'bad-request 400:reason'],
])('a plan with %s is refused, and none is kept', async (_title, body, problem) => {
  await using server = await withFleet();
  const token = await server.token('operator');
  expect(problemOf(await server.ask('POST', '/campaigns', { token, body }))).toBe(problem);
  expect((await server.ask('GET', '/campaigns', { token })).json.items).toEqual([]);
});

test('a campaign that waits for a second operator is refused and not accepted, and its planner is none by a token that he made', async () => {
  await using server = await withFleet();
  const [planner, other] = [await server.token('operator'), await server.token('operator')];
  const { createdBy, createdAt } = (
    await server.ask('POST', '/campaigns', { token: planner, body: { ...BODY, approval: true } })
  ).json;
  const own = await server.token('operator', { createdBy });
  const act = (word: string, token: string) => server.ask('POST', `/campaigns/recall/${word}`, { token });
  expect(problemOf(await act('start', planner))).toBe('campaign-state 409');
  expect([problemOf(await act('approve', planner)), problemOf(await act('approve', own))]).toEqual([
    'forbidden 403',
    'forbidden 403',
  ]);
  const before = new Date(Date.parse(createdAt) - 1).toISOString();
  expect(problemOf(await act(`approve?planned=${before}`, other))).toBe('campaign-state 409:planned');
  expect(problemOf(await act('approve?planned=soon', other))).toBe('bad-request 400:planned');
  expect((await act(`approve?planned=${createdAt}`, other)).status).toBe(200);
  expect((await act('start', planner)).json.state).toBe('running');
  expect((await act('pause', planner)).json.pausedBecause).toBe(`${createdBy} said so`);
  expect((await act('rollback', planner)).json).not.toHaveProperty('pausedBecause');
});

test('a plan is forgotten where it was not started, and not where it was', async () => {
  await using server = await withFleet();
  const token = await server.token('operator');
  await server.ask('POST', '/campaigns', { token, body: BODY });
  expect((await server.ask('DELETE', '/campaigns/recall', { token })).status).toBe(204);
  expect(problemOf(await server.ask('GET', '/campaigns/recall', { token }))).toBe('not-found 404');
  await server.ask('POST', '/campaigns', { token, body: BODY });
  await server.ask('POST', '/campaigns/recall/start', { token });
  expect(problemOf(await server.ask('DELETE', '/campaigns/recall', { token }))).toBe('campaign-state 409');
});

test('a hygiene scan ends with a report whose lines are selections', async () => {
  await using server = await withFleet();
  const token = await server.token('operator');
  expect((await server.ask('GET', '/hygiene', { token })).json).toMatchObject({ isCurrent: false });
  const scan = await server.ask('POST', '/hygiene/scan', { token });
  expect(scan.json).toMatchObject({ devices: 3, certificates: 3, percent: 100 });
  const report = await server.ask('GET', '/hygiene', { token });
  expect(report.json.isCurrent).toBe(true);
  for (const { finding, selection } of report.json.lines) {
    const body = { name: `find-${finding}`, selection };
    expect((await server.ask('POST', '/campaigns', { token, body })).json).toMatchObject({
      state: 'planned',
    });
  }
});
