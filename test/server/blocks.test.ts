import { expect, test } from 'vitest';
import { createGuard } from '../../src/broker-auth/guard/behaviour-guard.ts';
import { createBlockDesk } from '../../src/broker-auth/guard/block-desk.ts';
import { parseGuard } from '../../src/broker-auth/guard/parse-guard.ts';
import { inject, startTestServer, type TestServer } from './test-server.ts';

const rule = {
  ...{ name: 'scanning', behaviour: 'topicDenied' as const, moreThan: 1, withinSeconds: 60 },
  ...{ reaction: 'block' as const, forSeconds: 600 },
};

const locally = (server: TestServer, method: string, path: string, body?: object) =>
  inject(server.local, method, `/api/v1${path}`, body ? { body } : {});

test('who is restrained is shown to the owner of the home, who may lift it, which is written down', async () => {
  const desk = createBlockDesk(() => server.house.clock.now());
  await using server = await startTestServer({ blocks: desk });
  const { clock } = server.house;
  for (const name of ['broker', 'brokerAuth']) {
    const guard = createGuard({
      rules: parseGuard({ rules: [rule] }, ['mqtt']),
      onReaction: () => undefined,
    });
    const origin = { address: '192.0.2.1', identity: { namespace: 'own', id: 'SN-1' } };
    for (const topic of ['a', 'b']) guard.note('topicDenied', origin, 'mqtt', clock.now(), topic);
    desk.add(name, guard);
  }
  const { json } = await locally(server, 'GET', '/gate/blocks');
  expect(json.items).toMatchObject(
    ['broker', 'brokerAuth'].map((gate) => ({
      ...{ gate, who: 'device:own/SN-1', rule: 'scanning', reaction: 'block', count: 2, listener: 'mqtt' },
      until: new Date(clock.now() + 600_000).toISOString(),
    })),
  );
  const lift = (who: string) => locally(server, 'POST', '/gate/blocks/lift', { who });
  expect(await lift('device:own/SN-2')).toMatchObject({ status: 404, json: { code: 'not-found' } });
  expect((await lift('device:own/SN-1')).json.lifted).toHaveLength(2);
  expect((await locally(server, 'GET', '/gate/blocks')).json.items).toEqual([]);
  expect(await lift('device:own/SN-1')).toMatchObject({ status: 404 });
  const audit = await server.house.ledger.read.listAudit({ limit: 100 });
  expect(audit.items.filter(({ action }) => action === 'gate.lift-block')).toMatchObject([
    { actor: 'local', subject: 'device:own/SN-1', facts: { rule: 'scanning', gate: 'broker' } },
    { facts: { gate: 'brokerAuth' } },
  ]);
});

test('nobody lifts anything over the network, and a process without a gate says that it has none', async () => {
  await using server = await startTestServer();
  const admin = await server.token('admin');
  expect(await server.ask('GET', '/gate/blocks', { token: admin })).toMatchObject({ status: 404 });
  expect(await locally(server, 'GET', '/gate/blocks')).toMatchObject({
    status: 503,
    json: { code: 'unavailable' },
  });
});
