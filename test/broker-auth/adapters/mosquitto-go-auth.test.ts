import { describe, expect, test } from 'vitest';
import { policyConfig } from '../lab.ts';
import { type Asking, openAsking } from './asking.ts';

const config = policyConfig({}, { evidence: 'name' });
type Mode = 'status' | 'json' | 'text';
const open = (responseMode: Mode = 'json') =>
  openAsking({ 'mosquitto-go-auth': { broker: 'test', listener: 'mqtt', responseMode } }, { config });
const acl = (asking: Asking, topic: string, acc: number, more: object = {}) =>
  asking.json('/mosquitto-go-auth/acl', { username: 'dev1', clientid: 'dev1', topic, acc, ...more });

test('a user is always denied: it came with a password and no certificate', async () => {
  await using asking = await open();
  const body = { username: 'dev1', password: 'x', clientid: 'dev1' };
  expect((await asking.json('/mosquitto-go-auth/user', body)).status).toBe(403);
  expect((await asking.json('/mosquitto-go-auth/superuser', { username: 'dev1' })).status).toBe(403);
});

describe('an act', () => {
  test.each([
    [1, 'devices/dev1/a', 200],
    [2, 'devices/dev1/a', 200],
    [3, 'devices/dev1/a', 200],
    [4, 'devices/dev1/#', 200],
    [1, 'devices/dev2/a', 403],
    [2, 'devices/dev2/a', 403],
    [3, 'devices/dev2/a', 403],
    [4, 'devices/#', 403],
    [5, 'devices/dev1/a', 403],
  ])('acc %i on %s: %i', async (acc, topic, status) => {
    await using asking = await open();
    expect((await acl(asking, topic, acc)).status).toBe(status);
    const form = `username=dev1&clientid=dev1&topic=${encodeURIComponent(topic)}&acc=${acc}`;
    expect((await asking.form('/mosquitto-go-auth/acl', form)).status).toBe(status);
  });

  test.each([
    ['status', 200, '{"ok":true,"error":""}'],
    ['json', 200, '{"ok":true,"error":""}'],
    ['text', 200, 'ok'],
  ] as const)('in mode %s', async (mode, status, text) => {
    await using asking = await open(mode);
    expect(await acl(asking, 'devices/dev1/a', 2)).toMatchObject({ status, text });
    // 5xx would be a fault that it asks again for; any 4xx is a denial in each mode.
    expect(await acl(asking, 'devices/dev2/a', 2)).toMatchObject({ status: 403 });
    expect(await asking.raw('/mosquitto-go-auth/acl', 'application/json', '{')).toMatchObject({
      status: 403,
    });
  });

  test('of a ClientId that another name has is denied', async () => {
    await using asking = await open();
    await acl(asking, 'devices/dev1/a', 2);
    expect((await acl(asking, 'devices/dev2/a', 2, { username: 'dev2' })).status).toBe(403);
    expect((await acl(asking, 'devices/dev1/a', 2, { username: '' })).status).toBe(403);
  });

  test('is judged again after a minute', async () => {
    await using asking = await open();
    await acl(asking, 'devices/dev1/a', 2);
    const before = asking.lab.gate.sessions.get({ broker: 'test', clientId: 'dev1' });
    asking.lab.clock.pass(59_999);
    await acl(asking, 'devices/dev1/a', 2);
    expect(asking.lab.gate.sessions.get({ broker: 'test', clientId: 'dev1' })).toBe(before);
    asking.lab.clock.pass(1);
    await acl(asking, 'devices/dev1/a', 2);
    expect(asking.lab.gate.sessions.get({ broker: 'test', clientId: 'dev1' })).not.toBe(before);
  });

  test('of a device that is being ended is denied', async () => {
    await using asking = await open();
    expect((await acl(asking, 'devices/dev1/a', 2)).status).toBe(200);
    asking.lab.broker.failing = 1000;
    expect(asking.lab.gate.endNamed({ namespace: 'own', id: 'dev1' }, 'revoked')).toBe(1);
    expect((await acl(asking, 'devices/dev1/a', 2)).status).toBe(403);
  });
});
