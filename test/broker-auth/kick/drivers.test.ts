import { describe, expect, test } from 'vitest';
import { emqxKickDriver } from '../../../src/broker-auth/kick/emqx.ts';
import { createManagementClient } from '../../../src/broker-auth/kick/management-client.ts';
import { rabbitmqKickDriver } from '../../../src/broker-auth/kick/rabbitmq.ts';
import { vernemqKickDriver } from '../../../src/broker-auth/kick/vernemq.ts';
import type { KickScope } from '../../../src/broker-auth/ports.ts';
import { codeOfAsync } from '../../house.ts';
import { managementApi, PASSWORD, session } from './management-api.ts';

const clock = () => Date.UTC(2026, 0, 1);
const ANYBODY: KickScope = { barred: false, isCurrent: () => true };
const BARRED: KickScope = { barred: true, isCurrent: () => true };
const summary = (asked: readonly { method: string; url: string }[]) =>
  asked.map(({ method, url }) => `${method} ${url}`);

describe('EMQX', () => {
  const driver = (ask: Parameters<typeof emqxKickDriver>[0]['ask'], banMs?: number) =>
    emqxKickDriver({ broker: 'test', ask, clock, ...(banMs !== undefined && { banMs }) });

  test('is told of all at once', async () => {
    await using api = await managementApi(() => [204]);
    await driver(api.ask).kick([session('a/b'), session('c')], 'revoked', ANYBODY);
    expect(summary(api.asked)).toEqual(['POST /api/v5/clients/kickout/bulk']);
    expect(api.asked[0]?.body).toEqual(['a/b', 'c']);
  });
  test('is told of one after the other before 5.1', async () => {
    await using api = await managementApi(({ method }) => (method === 'POST' ? [404] : [204]));
    await driver(api.ask).kick([session('a/b'), session('c')], 'revoked', ANYBODY);
    expect(summary(api.asked).slice(1)).toEqual(['DELETE /api/v5/clients/a%2Fb', 'DELETE /api/v5/clients/c']);
  });
  test('bans whom the authority took back with the last certificate', async () => {
    await using api = await managementApi(() => [200, {}]);
    await driver(api.ask, 60_000).kick([session('a')], 'revoked', BARRED);
    expect(api.asked[1]?.body).toEqual({
      as: 'clientid',
      who: 'a',
      reason: 'revoked',
      by: 'birthmark',
      until: '2026-01-01T00:01:00Z',
    });
  });
  test.each([
    ['whose time is over', 'expired', BARRED],
    ['who has another certificate', 'revoked', ANYBODY],
    ['who has another certificate after the key was stolen', 'compromised', ANYBODY],
    ['whose certificate was superseded', 'superseded', BARRED],
    ['who may be released', 'held', BARRED],
    ['whose block may be lifted', 'blocked', BARRED],
    ['who came back with another certificate meanwhile', 'revoked', { barred: true, isCurrent: () => false }],
  ] as const)('never bans one %s', async (_name, cause, scope) => {
    await using api = await managementApi(() => [200, {}]);
    await driver(api.ask, 60_000).kick([session('a')], cause, scope);
    expect(summary(api.asked).filter((one) => one.includes('banned'))).toEqual([]);
  });
  test('does not ban one who came back while it was told', async () => {
    let isBack = false;
    await using api = await managementApi(() => {
      isBack = true;
      return [200, {}];
    });
    const scope: KickScope = { barred: true, isCurrent: () => !isBack };
    await driver(api.ask, 60_000).kick([session('a')], 'revoked', scope);
    expect(summary(api.asked)).toEqual(['POST /api/v5/clients/kickout/bulk']);
  });
  test('is asked whom it still has: a session that waits for its client is none', async () => {
    const clients: Readonly<Record<string, object>> = { a: { connected: true }, b: { connected: false } };
    await using api = await managementApi(({ url }) => {
      const found = clients[url.split('/').at(-1) ?? ''];
      return found ? [200, found] : [404, { code: 'CLIENTID_NOT_FOUND' }];
    });
    const [a, b, c] = [session('a'), session('b'), session('c')];
    expect(await driver(api.ask).stillLive([a, b, c])).toEqual([a]);
  });
  test('is asked for its whole list where there are many', async () => {
    const sessions = Array.from({ length: 60 }, (_none, at) => session(`d${at}`));
    await using api = await managementApi(({ url }) =>
      url.includes('page=1')
        ? [200, { data: [{ clientid: 'd1', connected: true }], meta: { hasnext: true } }]
        : [200, { data: [{ clientid: 'd2', connected: true }], meta: { hasnext: false } }],
    );
    const live = await driver(api.ask).stillLive(sessions);
    expect(live.map(({ clientId }) => clientId)).toEqual(['d1', 'd2']);
    expect(api.asked).toHaveLength(2);
  });
});

describe('VerneMQ', () => {
  test('is told by ClientId, without a mount point', async () => {
    await using api = await managementApi(() => [200, 'ok']);
    const driver = vernemqKickDriver({ broker: 'test', ask: api.ask });
    await driver.kick([session('a&b')], 'expired', ANYBODY);
    await driver.kick([session('c')], 'revoked', BARRED);
    await driver.kick([session('d')], 'revoked', ANYBODY);
    await driver.kick([session('e')], 'compromised', ANYBODY);
    expect(summary(api.asked)).toEqual([
      'GET /api/v2/disconnect?client_id=a%26b',
      'GET /api/v2/disconnect?client_id=c&cleanup',
      'GET /api/v2/disconnect?client_id=d',
      'GET /api/v2/disconnect?client_id=e&cleanup',
    ]);
  });
  test('is asked whom it still has', async () => {
    await using api = await managementApi(({ url }) => [
      200,
      { status: { a: 'online', b: 'offline' }[url.at(-1) ?? ''] ?? 'unknown' },
    ]);
    const [a, b, c] = [session('a'), session('b'), session('c')];
    const driver = vernemqKickDriver({ broker: 'test', ask: api.ask });
    expect(await driver.stillLive([a, b, c])).toEqual([a]);
  });
});

describe('RabbitMQ', () => {
  test('is told by name, once a device, and why', async () => {
    await using api = await managementApi(() => [204]);
    const driver = rabbitmqKickDriver({ broker: 'test', ask: api.ask });
    await driver.kick([session('a-1', 'dev a'), session('a-2', 'dev a')], 'revoked', ANYBODY);
    expect(summary(api.asked)).toEqual(['DELETE /api/connections/username/dev%20a']);
    expect(api.asked[0]?.headers['x-reason']).toBe('birthmark: revoked');
  });
  test('is asked whom it still has, by name and ClientId', async () => {
    const connections = [
      { name: 'x', user: 'dev1', client_properties: { client_id: 'dev1' } },
      { name: 'y', user: 'dev2', client_properties: { client_id: 'other' } },
      { name: 'z' },
    ];
    await using api = await managementApi(() => [200, connections]);
    const [one, two] = [session('dev1'), session('dev2')];
    const driver = rabbitmqKickDriver({ broker: 'test', ask: api.ask });
    expect(await driver.stillLive([one, two])).toEqual([one]);
  });
  test('tells when certificates end, where it knows', async () => {
    const of = (id: string, peer_cert_validity: string | null) => ({
      ...{ name: id, user: id, client_properties: { client_id: id } },
      peer_cert_validity,
    });
    const connections = [
      of('dev1', '2026-01-02T03:04:05Z - 2027-02-03T04:05:06Z'),
      of('dev2', null),
      of('dev3', 'for ever'),
      of('dev4', '2026-01-02T03:04:05Z - 2027-99-03T04:05:06Z'),
    ];
    await using api = await managementApi(() => [200, connections]);
    const sessions = ['dev1', 'dev2', 'dev3', 'dev4', 'dev5'].map((id) => session(id));
    const driver = rabbitmqKickDriver({ broker: 'test', ask: api.ask });
    const ends = [...((await driver.ends?.(sessions)) ?? [])];
    expect(ends).toEqual([[sessions[0], Date.UTC(2027, 1, 3, 4, 5, 6)]]);
  });
});

describe('a management API', () => {
  test.each([
    ['does not know our password', () => [401] as const],
    ['is broken', () => [500] as const],
    ['answers what nobody can read', () => [200, 'hello'] as const],
  ])('that %s is unavailable, and no password is told of', async (_name, respond) => {
    await using api = await managementApi(respond);
    const driver = rabbitmqKickDriver({ broker: 'test', ask: api.ask });
    const fault = await driver.stillLive([session('a')]).catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: 'unavailable' });
    expect(String(fault)).not.toContain(PASSWORD);
  });
  test('that is not there is unavailable', async () => {
    const ask = createManagementClient({ url: new URL('http://127.0.0.1:1'), user: 'u', password: PASSWORD });
    expect(await codeOfAsync(ask('GET', '/'))).toBe('unavailable');
  });
  test('gets our credentials in the header', async () => {
    await using api = await managementApi(() => [200, []]);
    await rabbitmqKickDriver({ broker: 'test', ask: api.ask }).stillLive([session('a')]);
    expect(api.asked[0]?.headers.authorization).toBe(`Basic ${btoa(`gate:${PASSWORD}`)}`);
    expect(api.asked[0]?.url).not.toContain(PASSWORD);
  });
});
