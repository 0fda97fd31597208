import { describe, expect, test } from 'vitest';
import { toBase64 } from '../../../src/core/bytes.ts';
import { type Asking, openAsking } from './asking.ts';

const HTTP = { vernemq: { broker: 'test', listener: 'mqtt' } };
const DENIED = { result: { error: 'not_allowed' } };

async function hook({ json }: Asking, name: string, body: object): Promise<unknown> {
  const { status, text, headers } = await json('/vernemq', body, { 'vernemq-hook': name });
  // Anything else is an error to it; and a decision on a certificate must not be remembered.
  expect(status).toBe(200);
  expect(headers).not.toHaveProperty('cache-control');
  return JSON.parse(text);
}

const client = { client_id: 'dev1', mountpoint: '' };
function register(asking: Asking, version: '' | '_m5' = '', changes: object = {}): Promise<unknown> {
  const cert = toBase64(asking.lab.maker.device('dev1').der);
  const clean = version === '' ? { clean_session: true } : { clean_start: true, properties: {} };
  const body = {
    ...client,
    peer_addr: '192.0.2.7',
    peer_port: 4000,
    username: null,
    password: null,
    ...clean,
  };
  return hook(asking, `auth_on_register${version}`, { ...body, client_cert: cert, ...changes });
}

describe.each(['', '_m5'] as const)('auth_on_register%s', (version) => {
  test('lets in by the certificate', async () => {
    await using asking = await openAsking(HTTP);
    expect(await register(asking, version)).toEqual({ result: 'ok' });
  });
  test.each([
    ['another ClientId', { client_id: 'dev2' }],
    ['no certificate, whatever user name is beside', { client_cert: null, username: 'dev1' }],
    ['a certificate that it was not told to forward', { client_cert: undefined, username: 'dev1' }],
    ['a mount point, which is another world', { mountpoint: 'elsewhere' }],
    ['no ClientId', { client_id: null }],
  ])('denies %s', async (_name, changes) => {
    await using asking = await openAsking(HTTP);
    expect(await register(asking, version, changes)).toEqual(DENIED);
  });
});

describe('topics', () => {
  test.each(['', '_m5'])('auth_on_publish%s', async (version) => {
    await using asking = await openAsking(HTTP);
    const publish = (topic: string) =>
      hook(asking, `auth_on_publish${version}`, {
        ...client,
        username: null,
        qos: 1,
        topic,
        payload: '',
        retain: false,
      });
    expect(await publish('devices/dev1/a')).toEqual(DENIED);
    await register(asking);
    expect(await publish('devices/dev1/a')).toEqual({ result: 'ok' });
    expect(await publish('devices/dev2/a')).toEqual(DENIED);
  });

  const own = { topic: 'devices/dev1/+', qos: 1 };
  const others = { topic: 'devices/dev2/+', qos: 2 };
  test('auth_on_subscribe names what is refused with 128', async () => {
    await using asking = await openAsking(HTTP);
    await register(asking);
    const subscribe = (topics: object[]) =>
      hook(asking, 'auth_on_subscribe', { ...client, username: null, topics });
    expect(await subscribe([own])).toEqual({ result: 'ok', topics: [own] });
    expect(await subscribe([own, others])).toEqual({
      result: 'ok',
      topics: [own, { topic: others.topic, qos: 128 }],
    });
    expect(await subscribe([others])).toEqual(DENIED);
    // An empty answer would be a yes to all.
    expect(await subscribe([])).toEqual(DENIED);
  });
  test('auth_on_subscribe_m5 names it with 135, and keeps the options of the others', async () => {
    await using asking = await openAsking(HTTP);
    await register(asking, '_m5');
    const options = { no_local: false, rap: false, retain_handling: 'send_retain' };
    const topics = [
      { ...own, ...options },
      { ...others, ...options },
    ];
    expect(
      await hook(asking, 'auth_on_subscribe_m5', { ...client, username: null, topics, properties: {} }),
    ).toEqual({
      result: 'ok',
      modifiers: {
        topics: [
          { ...own, ...options },
          { topic: others.topic, qos: 135 },
        ],
      },
    });
  });
});

describe('an end', () => {
  test.each(['on_client_gone', 'on_client_offline', 'on_session_expired'])(
    'told by %s is forgotten',
    async (name) => {
      await using asking = await openAsking(HTTP);
      await register(asking);
      asking.lab.clock.pass(5000);
      expect(await hook(asking, name, client)).toEqual({});
      expect(asking.lab.gate.sessions.size).toBe(0);
    },
  );
  test('told just after a takeover is of the session before', async () => {
    await using asking = await openAsking(HTTP);
    await register(asking);
    await hook(asking, 'on_client_gone', client);
    expect(asking.lab.gate.sessions.size).toBe(1);
  });
});

test.each([
  ['on_auth_m5', DENIED],
  ['auth_on_something_new', DENIED],
  ['on_something_new', {}],
  ['', DENIED],
])('hook %j is answered %j', async (name, answer) => {
  await using asking = await openAsking(HTTP);
  expect(await hook(asking, name, client)).toEqual(answer);
});

test('a listener that nobody told of is denied', async () => {
  await using asking = await openAsking({ vernemq: { ...HTTP.vernemq, listeners: { '8883': 'mqtt' } } });
  expect(await register(asking, '', { listener_port: 8883 })).toEqual({ result: 'ok' });
  expect(await register(asking, '', { listener_port: 1883 })).toEqual(DENIED);
  expect(await register(asking)).toEqual(DENIED);
});
