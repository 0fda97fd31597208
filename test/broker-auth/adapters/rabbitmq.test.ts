import { describe, expect, test } from 'vitest';
import { policyConfig } from '../lab.ts';
import { type Asking, openAsking } from './asking.ts';

const HTTP = { rabbitmq: { broker: 'test', listener: 'mqtt' } };
const config = policyConfig(
  {
    roles: [
      {
        name: 'device',
        publish: ['dev/${id}/+/#'],
        subscribe: ['dev/${id}/#'],
        clientId: { bind: 'prefix' },
      },
    ],
  },
  { evidence: 'name' },
);
const open = (given = config) => openAsking(HTTP, { config: given });

// As RabbitMQ 3.10.8 sent them, with CN=dev2 and the ClientId dev2-live.
const USER = 'username=dev2';
const VHOST = 'username=dev2&vhost=%2F&ip=127.0.0.1&tags=&client_id=dev2-live';
const QUEUE =
  'username=dev2&vhost=%2F&resource=queue&name=mqtt-subscription-dev2-liveqos1&permission=configure&tags=&client_id=dev2-live';
const EXCHANGE =
  'username=dev2&vhost=%2F&resource=exchange&name=amq.topic&permission=read&tags=&client_id=dev2-live';
const TOPIC =
  'username=dev2&vhost=%2F&resource=topic&name=amq.topic&permission=read&tags=&routing_key=dev.dev2.%2A.%23' +
  '&variable_map.client_id=dev2-live&variable_map.username=dev2&variable_map.vhost=%2F';

async function answers({ form }: Asking, path: string, body: string): Promise<string> {
  const { status, type, text } = await form(`/rabbitmq/${path}`, body);
  expect([status, type]).toEqual([200, 'text/plain']);
  return text;
}

test('a device comes through all five questions', async () => {
  await using asking = await open();
  expect(await answers(asking, 'user', USER)).toBe('allow');
  expect(await answers(asking, 'vhost', VHOST)).toBe('allow');
  expect(await answers(asking, 'resource', QUEUE)).toBe('allow');
  expect(await answers(asking, 'resource', EXCHANGE)).toBe('allow');
  expect(await answers(asking, 'topic', TOPIC)).toBe('allow');
});

describe('a user is denied', () => {
  test.each([
    ['with a password beside its certificate', 'username=dev2&password=x&vhost=%2F&client_id=dev3'],
    ['with an empty one', 'username=dev2&password='],
    ['whose name has a dot, which is a slash in a topic', 'username=dev.2'],
    ['whose name has a star', 'username=dev*'],
    ['without a name', 'password=x'],
    ['who is named twice', 'username=dev2&username=dev3'],
  ])('%s', async (_name, body) => {
    await using asking = await open();
    expect(await answers(asking, 'user', body)).toBe('deny');
  });
});

describe('a connection is denied', () => {
  test.each([
    ['with the ClientId of another device', VHOST.replace('dev2-live', 'dev3-live')],
    ['whose ClientId has a dot', VHOST.replace('dev2-live', 'dev2-a.b')],
    ['without a ClientId: it is none of MQTT', VHOST.replace('&client_id=dev2-live', '')],
    ['at another virtual host', VHOST.replace('%2F', 'other')],
  ])('%s', async (_name, body) => {
    await using asking = await open();
    expect(await answers(asking, 'vhost', body)).toBe('deny');
  });
  test('where the policy asks for more than a name', async () => {
    await using asking = await open(policyConfig({ roles: [...config.roles] }));
    expect(await answers(asking, 'vhost', VHOST)).toBe('deny');
  });
});

describe('a resource is denied', () => {
  test.each([
    ["another device's queue", QUEUE.replace('subscription-dev2', 'subscription-dev3')],
    ['a queue of its own choice', QUEUE.replace('mqtt-subscription-dev2-liveqos1', 'dev2')],
    ['another exchange', EXCHANGE.replace('amq.topic', 'amq.direct')],
    ['to shape the exchange', EXCHANGE.replace('permission=read', 'permission=configure')],
    ['to a name that does not have this ClientId', QUEUE.replace('username=dev2', 'username=dev3')],
  ])('%s', async (_name, body) => {
    await using asking = await open();
    await answers(asking, 'vhost', VHOST);
    expect(await answers(asking, 'resource', body)).toBe('deny');
  });
  test('before the connection was judged', async () => {
    await using asking = await open();
    expect(await answers(asking, 'resource', QUEUE)).toBe('deny');
  });
});

describe('a topic', () => {
  test.each([
    ['write', 'dev.dev2.a.b', 'allow'],
    ['write', 'dev.dev3.a.b', 'deny'],
    ['write', 'dev.dev2.%2A', 'deny'],
    ['read', 'dev.dev2.%23', 'allow'],
    ['read', 'dev.%2A.%23', 'deny'],
    ['read', '%23', 'deny'],
  ])('%s %s: %s', async (permission, key, answer) => {
    await using asking = await open();
    await answers(asking, 'vhost', VHOST);
    const body = TOPIC.replace('permission=read', `permission=${permission}`).replace(
      'dev.dev2.%2A.%23',
      key,
    );
    expect(await answers(asking, 'topic', body)).toBe(answer);
  });
  test('that begins with $ is not published to, since # would get it; another is', async () => {
    const all = policyConfig(
      {
        roles: [
          { name: 'device', publish: ['#', '$x/#'], subscribe: ['#', '$x/#'], clientId: { bind: 'prefix' } },
        ],
      },
      { evidence: 'name' },
    );
    await using asking = await open(all);
    await answers(asking, 'vhost', VHOST);
    const write = (key: string, permission = 'write') =>
      answers(
        asking,
        'topic',
        TOPIC.replace('permission=read', `permission=${permission}`).replace(
          /routing_key=[^&]*/,
          `routing_key=${key}`,
        ),
      );
    expect(await write('%24x.y')).toBe('deny');
    expect(await write('x.y')).toBe('allow');
    expect(await write('%24x.y', 'read')).toBe('allow');
  });
  test('of another exchange is denied', async () => {
    await using asking = await open();
    await answers(asking, 'vhost', VHOST);
    expect(await answers(asking, 'topic', TOPIC.replace('amq.topic', 'other'))).toBe('deny');
  });
});

test('what cannot be read is denied with a word, since anything else is an error to it', async () => {
  await using asking = await open();
  for (const path of ['user', 'vhost', 'resource', 'topic']) {
    expect(await answers(asking, path, '')).toBe('deny');
    expect((await asking.raw(`/rabbitmq/${path}`, 'text/plain', 'x')).text).toBe('deny');
  }
});
