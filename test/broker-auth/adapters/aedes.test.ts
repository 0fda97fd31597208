import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { MqttClient } from 'mqtt';
import { describe, expect, test } from 'vitest';
import type { EndCause } from '../../../src/broker-auth/ports.ts';
import { endTakenBack } from '../../../src/broker-auth/status/table-source.ts';
import { keyUsage } from '../../../src/x509/extensions.ts';
import type { Party } from '../../x509/path/make-certificate.ts';
import { hearingGuard } from '../guard/hearing-guard.ts';
import { idOf, makeMaker, named, policyConfig } from '../lab.ts';
import { type AedesHouse, keyPem, openAedesHouse, pem } from './aedes-house.ts';

const [role = { name: 'device' }] = policyConfig().roles;
const listeners = { mqtt: {}, 'mqtt-ws': {} };
const DAY = 86_400_000;

async function admitted(house: AedesHouse, clientId: string, options: object = {}): Promise<MqttClient> {
  const client = await house.connect(house.maker.device(clientId), { clientId, ...options });
  if (typeof client === 'number') throw new Error(`${clientId} was denied with ${client}`);
  return client;
}

async function admittedWith(house: AedesHouse, device: Party, clientId: string): Promise<MqttClient> {
  const client = await house.connect(device, { clientId });
  if (typeof client === 'number') throw new Error(`${clientId} was denied with ${client}`);
  return client;
}

/** The authority takes a certificate back whose device has a newer one. */
function retire({ gate, status, maker: { issuer } }: AedesHouse, party: Party): void {
  status.tell(party, issuer, 'revoked');
  endTakenBack(gate, {
    ...{ sequence: 1, authority: 'ldevid', ...idOf(party, issuer), status: 'revoked', reason: 'superseded' },
    at: '2026-01-02T03:04:05.678Z',
  });
}

/** What of Aedes' persistence its types leave out. */
interface Waiting {
  outgoingStream(client: object): Readable;
  outgoingClearMessageId(client: object, packet: unknown): Promise<unknown>;
}

function publishFromBroker({ aedes }: AedesHouse, topic: string, payload: string): Promise<void> {
  const packet = { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false } as const;
  return new Promise((resolve, reject) =>
    aedes.publish(packet, (error) => (error ? reject(error) : resolve())),
  );
}

/** What arrives at a client, in order. */
function inbox(client: MqttClient): string[] {
  const messages: string[] = [];
  client.on('message', (topic, payload) => messages.push(`${topic} ${payload.toString()}`));
  return messages;
}

function event(client: MqttClient, name: 'connect' | 'close'): Promise<void> {
  return new Promise((resolve) => client.once(name, () => resolve()));
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 5000) throw new Error('it did not happen within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.each(['url', 'webSocketUrl'] as const)('a device that connects by %s', (url) => {
  test('is let in with its certificate, to its own topics', async () => {
    await using house = await openAedesHouse();
    const client = await admitted(house, 'dev1', { url: house[url] });
    const messages = inbox(client);
    await client.subscribeAsync('devices/dev1/#');
    await client.publishAsync('devices/dev1/up', 'hello', { qos: 1 });
    await until(() => messages.length === 1);
    expect(messages).toEqual(['devices/dev1/up hello']);
    expect(house.verdicts).toMatchObject([{ allow: true, identity: { namespace: 'own', id: 'dev1' } }]);
    await client.endAsync();
    await until(() => house.gate.sessions.size === 0);
    expect(house.faults).toEqual([]);
  });

  test('is told by the code why it is not let in', async () => {
    await using house = await openAedesHouse();
    const { maker } = house;
    const code = (device: Parameters<AedesHouse['connect']>[0], clientId: string) =>
      house.connect(device, { clientId, url: house[url] });
    expect(await code(undefined, 'dev1')).toBe(5);
    expect(await code(maker.device('dev1'), 'dev2')).toBe(2);
    expect(await code(makeMaker('acme').device('dev1'), 'dev1')).toBe(5);
    expect(await code(maker.device('dev1', { only: [keyUsage(['digitalSignature'])] }), 'dev1')).toBe(5);
    const ended = { notBefore: house.clock.now() - 2 * DAY, notAfter: house.clock.now() - 1000 };
    expect(await code(maker.device('dev1', { fields: { ...ended, ...named('dev1').fields } }), 'dev1')).toBe(
      5,
    );
    house.status.asOf = house.clock.now() - 3_600_000;
    expect(await code(maker.device('dev1'), 'dev1')).toBe(3);
    house.status.asOf = undefined;
    expect(await code(maker.device('dev1'), 'dev1')).not.toBeTypeOf('number');
    expect(house.verdicts.map((verdict) => (verdict.allow ? 'ok' : verdict.reason))).toEqual([
      'evidence',
      'clientId',
      'untrusted',
      'wrongUsage',
      'expired',
      'statusUnknown',
      'ok',
    ]);
  });
});

describe('topics', () => {
  test('that are not its own are denied: a subscription with 0x80, a message with the end of the connection', async () => {
    await using house = await openAedesHouse();
    const client = await admitted(house, 'dev1');
    const granted = await client.subscribeAsync(['devices/dev1/#']);
    expect(granted.map(({ qos }) => qos)).toEqual([0]);
    await expect(client.subscribeAsync('devices/dev2/#')).rejects.toThrow();
    await expect(client.subscribeAsync('#')).rejects.toThrow();
    const closed = event(client, 'close');
    client.publish('devices/dev2/up', 'forged');
    await closed;
    await until(() => house.gate.sessions.size === 0);
  });

  test('of the broker itself stay its own, whatever the rules allow', async () => {
    const config = policyConfig({ listeners, roles: [{ ...role, publish: ['#', '$SYS/#'] }] });
    await using house = await openAedesHouse({ config });
    const client = await admitted(house, 'dev1');
    await client.publishAsync('anything', 'x', { qos: 1 });
    const closed = event(client, 'close');
    client.publish(`$SYS/${house.aedes.id}/new/clients`, 'dev2');
    await closed;
  });

  test('that it subscribed to before are asked about again when its session is resumed', async () => {
    let subscribe = ['devices/${id}/#', 'all/#'];
    const config = () => policyConfig({ listeners, roles: [{ ...role, publish: ['#'], subscribe }] });
    await using house = await openAedesHouse({ config: config() });
    const first = await admitted(house, 'dev1', { clean: false });
    await first.subscribeAsync(['devices/dev1/a', 'all/a'], { qos: 1 });
    await first.endAsync();
    const other = await admitted(house, 'dev2');
    await other.publishAsync('all/a', 'waits', { qos: 1 });
    // The rules change: the same broker, another gate.
    subscribe = ['devices/${id}/#'];
    await using stricter = await openAedesHouse({ config: config() });
    house.door.guard(stricter.gate);
    const again = house.client(house.maker.device('dev1'), { clientId: 'dev1', clean: false });
    const messages = inbox(again);
    await event(again, 'connect');
    const publisher = await admitted(house, 'dev3');
    await publisher.publishAsync('all/a', 'new', { qos: 1 });
    await publisher.publishAsync('devices/dev1/a', 'mine', { qos: 1 });
    await until(() => messages.length > 0);
    expect(messages).toEqual(['devices/dev1/a mine']);
  });
});

describe('a live session', () => {
  test.each(['revoked', 'held'] as const)(
    'ends when its certificate is %s, and is not let in again',
    async (cause) => {
      await using house = await openAedesHouse();
      const device = house.maker.device('dev1');
      const client = await house.connect(device, { clientId: 'dev1' });
      if (typeof client === 'number') throw new Error('it was denied');
      const bystander = await admitted(house, 'dev2');
      const closed = event(client, 'close');
      house.status.tell(device, house.maker.issuer, cause);
      house.gate.takenBack({ certificate: idOf(device, house.maker.issuer) }, cause);
      await closed;
      await house.settled();
      expect(house.ended).toEqual([{ clientIds: ['dev1'], cause }]);
      expect(bystander.connected).toBe(true);
      expect(await house.connect(device, { clientId: 'dev1' })).toBe(5);
      house.status.tell(device, house.maker.issuer, 'good');
      expect(await house.connect(device, { clientId: 'dev1' })).not.toBeTypeOf('number');
    },
  );

  test('outlives the old certificate of its device, under the same ClientId', async () => {
    await using house = await openAedesHouse();
    const { maker } = house;
    const [old, fresh] = [maker.device('dev1'), maker.device('dev1')];
    await admittedWith(house, old, 'dev1');
    const client = await admittedWith(house, fresh, 'dev1');
    retire(house, old);
    await house.settled();
    await client.publishAsync('devices/dev1/up', 'still here', { qos: 1 });
    expect([client.connected, house.ended]).toEqual([true, []]);
    expect(await house.connect(old, { clientId: 'dev1' })).toBe(5);
    expect(house.gate.sessions.size).toBe(1);
  });

  test('ends with the old certificate where it stands on that, and its device is let in at once with the new one', async () => {
    await using house = await openAedesHouse();
    const { maker } = house;
    const old = maker.device('dev1');
    const closed = event(await admittedWith(house, old, 'dev1'), 'close');
    retire(house, old);
    expect(await house.connect(maker.device('dev1'), { clientId: 'dev1' })).not.toBeTypeOf('number');
    await closed;
    await house.settled();
    expect(house.gate.sessions.size).toBe(1);
  });

  test('ends with its certificate', async () => {
    await using house = await openAedesHouse();
    const client = await admitted(house, 'dev1');
    const closed = event(client, 'close');
    house.clock.pass(DAY);
    house.gate.tick();
    await closed;
    expect(await house.connect(house.maker.device('dev1'), { clientId: 'dev1' })).not.toBeTypeOf('number');
    house.clock.pass(1);
    expect(await house.connect(house.maker.device('dev1'), { clientId: 'dev1' })).toBe(5);
  });

  test('is taken over by the same device, by whatever listener it comes', async () => {
    await using house = await openAedesHouse();
    const first = await admitted(house, 'dev1');
    const closed = event(first, 'close');
    const second = await admitted(house, 'dev1', { url: house.webSocketUrl });
    await closed;
    expect(house.gate.sessions.size).toBe(1);
    const messages = inbox(second);
    await second.subscribeAsync('devices/dev1/a');
    await second.publishAsync('devices/dev1/a', 'x', { qos: 1 });
    await until(() => messages.length === 1);
  });

  test('is taken over in the middle of messages, again and again, and no message and no connection is lost', async () => {
    await using house = await openAedesHouse();
    const device = house.maker.device('dev1');
    const received = new Set<string>();
    const taken: string[] = [];
    let closed = 0;
    let newest = 0;
    let current: MqttClient | undefined;
    for (let round = 0; round < 60; round += 1) {
      const next = house.client(device, { clientId: 'dev1', clean: false });
      newest = round;
      next.once('close', () => {
        if (newest === round) closed += 1;
      });
      next.on('message', (_topic, payload) => received.add(payload.toString()));
      await event(next, 'connect');
      const before = current;
      current = next;
      before?.end(true);
      await next.subscribeAsync('devices/dev1/#', { qos: 1 });
      for (let count = 0; count < 8; count += 1) {
        const text = `${round}/${count}`;
        next.publish('devices/dev1/up', text, { qos: 1 }, (error) => {
          if (!error) taken.push(text);
        });
      }
      await new Promise((resolve) => setTimeout(resolve, round % 5));
    }
    await until(() => taken.every((text) => received.has(text)));
    expect(closed).toBe(0);
    expect(house.faults).toEqual([]);
  });

  test('lives on where a message that waits for it is answered as it takes a session over', async () => {
    await using house = await openAedesHouse();
    const device = house.maker.device('dev1');
    const session = { clientId: 'dev1', clean: false };
    const first = await house.connect(device, session);
    if (typeof first === 'number') throw new Error(`denied with ${first}`);
    await first.subscribeAsync('devices/dev1/#', { qos: 1 });
    first.end(true);
    await until(() => house.gate.sessions.size === 0);
    await publishFromBroker(house, 'devices/dev1/down', 'hello');
    // As the old connection's answer would: between the look at what waits and its sending.
    const persistence: Waiting = Reflect.get(house.aedes, 'persistence');
    const stream = persistence.outgoingStream.bind(persistence);
    persistence.outgoingStream = (client) =>
      stream(client).map(async (packet) => {
        await persistence.outgoingClearMessageId(client, packet);
        return packet;
      });
    const received = new Set<string>();
    const second = house.client(device, session);
    let closed = false;
    second.once('close', () => {
      closed = true;
    });
    second.on('message', (_topic, payload) => received.add(payload.toString()));
    await until(() => closed || received.has('hello'));
    expect(closed).toBe(false);
  });

  test('is not taken over by another device', async () => {
    const config = policyConfig({ listeners, roles: [{ ...role, clientId: { bind: 'any' } }] });
    await using house = await openAedesHouse({ config });
    const first = await house.connect(house.maker.device('dev1'), { clientId: 'shared' });
    expect(await house.connect(house.maker.device('dev2'), { clientId: 'shared' })).toBe(2);
    expect(first).toMatchObject({ connected: true });
  });
});

describe('a will', () => {
  const will = (clientId: string) => ({
    will: { topic: `devices/${clientId}/gone`, payload: Buffer.from('gone'), qos: 0 as const, retain: false },
  });
  const watching = async (house: AedesHouse) => {
    const watcher = await admitted(house, 'watcher');
    const messages = inbox(watcher);
    await watcher.subscribeAsync('devices/+/gone');
    return messages;
  };
  const config = policyConfig({ listeners, roles: [{ ...role, subscribe: ['#'] }] });

  test('is said where a connection broke', async () => {
    await using house = await openAedesHouse({ config });
    const messages = await watching(house);
    const client = await admitted(house, 'dev1', will('dev1'));
    client.stream.destroy();
    await until(() => messages.length === 1);
    expect(messages).toEqual(['devices/dev1/gone gone']);
  });

  test('is not said for who is put out because of a revocation, and is for who is put out because of its age', async () => {
    await using house = await openAedesHouse({ config });
    const messages = await watching(house);
    const [bad, old] = [house.maker.device('bad'), house.maker.device('old')];
    await house.connect(bad, { clientId: 'bad', ...will('bad') });
    await house.connect(old, { clientId: 'old', ...will('old') });
    const { issuer } = house.maker;
    house.gate.takenBack({ certificate: idOf(bad, issuer) }, 'revoked');
    house.gate.takenBack({ certificate: idOf(old, issuer) }, 'sessionAge');
    await house.settled();
    await until(() => messages.length === 1);
    expect(messages).toEqual(['devices/old/gone gone']);
  });

  test('to a topic of another device is not said', async () => {
    await using house = await openAedesHouse({ config });
    const messages = await watching(house);
    const thief = await admitted(house, 'dev1', will('dev2'));
    const honest = await admitted(house, 'dev3', will('dev3'));
    thief.stream.destroy();
    await until(() => house.gate.sessions.size === 2);
    honest.stream.destroy();
    await until(() => messages.length === 1);
    expect(messages).toEqual(['devices/dev3/gone gone']);
  });
});

describe('what a device left behind', () => {
  test('is kept where it is held', async () => {
    expect(await leftBehind('held')).toEqual(['devices/dev1/in waits', 'devices/dev1/state on']);
  });
  test('is removed where its key is in other hands', async () => {
    expect(await leftBehind('compromised')).toEqual([]);
  });
});

test('no client speaks on a topic on which the broker itself does, as a message or as a will', async () => {
  const config = policyConfig({ listeners, roles: [{ ...role, publish: ['#'], subscribe: ['#'] }] });
  await using house = await openAedesHouse({ config });
  await house.door.retain('devices/dev1/renewal', 'now');
  const reader = await admitted(house, 'dev1');
  const messages = inbox(reader);
  const will = {
    topic: 'devices/dev1/renewal',
    payload: Buffer.from('never'),
    qos: 0 as const,
    retain: true,
  };
  (await admitted(house, 'dev2', { will })).stream.destroy();
  const thief = await admitted(house, 'dev3');
  const closed = event(thief, 'close');
  thief.publish('devices/dev1/renewal', 'never', { qos: 0, retain: true });
  await closed;
  await (await admitted(house, 'dev4')).publishAsync('devices/dev1/other', 'x', { qos: 1 });
  await reader.subscribeAsync('devices/dev1/#');
  await reader.publishAsync('devices/dev1/end', '', { qos: 1 });
  await until(() => messages.includes('devices/dev1/end '));
  expect(messages).toEqual(['devices/dev1/renewal now', 'devices/dev1/end ']);
});

/** A device leaves a retained message and a subscription, is put out, and comes back. */
async function leftBehind(cause: EndCause): Promise<string[]> {
  const config = policyConfig({ listeners, roles: [{ ...role, publish: ['#'], subscribe: ['#'] }] });
  await using house = await openAedesHouse({ config });
  const { maker, gate } = house;
  const device = maker.device('dev1');
  const client = await house.connect(device, { clientId: 'dev1', clean: false });
  if (typeof client === 'number') throw new Error('it was denied');
  await client.subscribeAsync('devices/dev1/in', { qos: 1 });
  await client.publishAsync('devices/dev1/state', 'on', { qos: 1, retain: true });
  const other = await admitted(house, 'dev2');
  gate.takenBack({ certificate: idOf(device, maker.issuer) }, cause);
  await house.settled();
  await other.publishAsync('devices/dev1/in', 'waits', { qos: 1 });
  const again = house.client(device, { clientId: 'dev1', clean: false });
  const messages = inbox(again);
  await event(again, 'connect');
  await again.subscribeAsync('devices/dev1/#');
  await again.publishAsync('devices/dev1/end', '', { qos: 1 });
  await until(() => messages.includes('devices/dev1/end '));
  expect(house.faults).toEqual([]);
  return messages.filter((message) => message !== 'devices/dev1/end ').sort();
}

test('a resumed TLS session is judged by what is known now', async () => {
  await using house = await openAedesHouse();
  const device = house.maker.device('dev1');
  const options = {
    port: Number(new URL(house.url).port),
    host: '127.0.0.1',
    cert: pem(device.der, house.maker.issuer.der),
    key: keyPem(device),
    rejectUnauthorized: false,
  };
  const first = connectTls(options);
  const [session] = await once(first, 'session');
  first.destroy();
  /** Speaks MQTT by hand, since mqtt.js resumes nothing. */
  const connack = async () => {
    const socket = connectTls({ ...options, session });
    await once(socket, 'secureConnect');
    socket.write(
      Buffer.from([0x10, 16, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, 4, ...Buffer.from('dev1')]),
    );
    const [answer] = await once(socket, 'data');
    const resumed = socket.isSessionReused();
    socket.destroy();
    return { resumed, code: answer[3] };
  };
  expect(await connack()).toEqual({ resumed: true, code: 0 });
  house.status.tell(device, house.maker.issuer, 'revoked');
  expect(await connack()).toEqual({ resumed: true, code: 5 });
});

test('who sends more than a CONNECT before it is let in is cut off', async () => {
  await using house = await openAedesHouse();
  const socket = connectTls({
    port: Number(new URL(house.url).port),
    host: '127.0.0.1',
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  // `once` would take the reset, which is right here, for a failure.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  // A CONNECT that says it is 200 MB long.
  socket.write(Buffer.from([0x10, 0x80, 0x84, 0xaf, 0x5f]));
  const timer = setInterval(() => socket.writable && socket.write(Buffer.alloc(64 * 1024)), 1);
  await closed;
  clearInterval(timer);
  expect(house.verdicts).toEqual([]);
});

test.each([
  ['takes a packet of half a MiB', 512 * 1024, false],
  ['cuts off who sends one of 8 MiB before it stands in memory', 8 * 1024 * 1024, true],
] as const)('%s', async (_title, octets, cutOff) => {
  await using house = await openAedesHouse();
  const client = await house.connect(house.maker.device('dev1'), { clientId: 'dev1', reconnectPeriod: 0 });
  if (typeof client === 'number') throw new Error(`refused: ${client}`);
  client.on('error', () => undefined);
  const closed = new Promise((resolve) => client.once('close', () => resolve(true)));
  const sent = client.publishAsync('devices/dev1/a', Buffer.alloc(octets), { qos: 1 }).then(
    () => false,
    () => true,
  );
  expect(await Promise.race([closed, sent])).toBe(cutOff);
});

describe('the guard', () => {
  test('hears who left without a word', async () => {
    const { guard, heard } = hearingGuard();
    await using house = await openAedesHouse({ guard });
    const clean = await admitted(house, 'dev1');
    await clean.endAsync();
    await until(() => house.gate.sessions.size === 0);
    const rude = await admitted(house, 'dev1');
    rude.stream.destroy();
    await until(() => house.gate.sessions.size === 0);
    expect(heard.map(({ behaviour }) => behaviour)).toEqual(['connect', 'connect', 'abnormalEnd']);
  });

  test.each([0, 1, 2] as const)(
    'hears of a message of QoS %i that nobody gets, and not of those that somebody gets',
    async (qos) => {
      const { guard, heard } = hearingGuard();
      await using house = await openAedesHouse({ guard });
      const client = await admitted(house, 'dev1');
      const undelivered = () => heard.filter(({ behaviour }) => behaviour === 'undeliverable');
      await client.publishAsync('devices/dev1/nobody', 'x', { qos });
      await until(() => undelivered().length === 1);
      await client.subscribeAsync('devices/dev1/#', { qos });
      await Promise.all(
        ['x', 'x', 'y'].map((text) => client.publishAsync('devices/dev1/somebody', text, { qos })),
      );
      await client.unsubscribeAsync('devices/dev1/#');
      await client.publishAsync('devices/dev1/later', 'kept', { qos, retain: true });
      await client.publishAsync('devices/dev1/again', 'x', { qos });
      await until(() => undelivered().length === 2);
      expect(undelivered().map(({ topic }) => topic)).toEqual(['devices/dev1/nobody', 'devices/dev1/again']);
    },
  );

  test('hears nothing of a message that waits for somebody who is away', async () => {
    const { guard, heard } = hearingGuard();
    const roles = [{ ...role, publish: ['devices/#'], subscribe: ['devices/${id}/#'] }];
    await using house = await openAedesHouse({ guard, config: policyConfig({ listeners, roles }) });
    const away = await admitted(house, 'dev1', { clean: false });
    await away.subscribeAsync('devices/dev1/#', { qos: 1 });
    await away.endAsync();
    await until(() => house.gate.sessions.size === 0);
    const other = await admitted(house, 'dev2');
    await other.publishAsync('devices/dev1/waits', 'x', { qos: 1 });
    await other.publishAsync('devices/dev9/lost', 'x', { qos: 1 });
    const undelivered = () => heard.filter(({ behaviour }) => behaviour === 'undeliverable');
    await until(() => undelivered().length > 0);
    expect(undelivered().map(({ topic }) => topic)).toEqual(['devices/dev9/lost']);
  });
});
