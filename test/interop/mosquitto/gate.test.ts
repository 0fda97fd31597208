import { readFileSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type MosquittoGate,
  openMosquittoGate,
} from '../../../src/broker-auth/adapters/mosquitto/mosquitto-gate.ts';
import type { PluginEvent } from '../../../src/broker-auth/adapters/mosquitto/plugin-event.ts';
import { Sessions } from '../../../src/broker-auth/sessions.ts';
import { keyUsage } from '../../../src/x509/extensions.ts';
import { certificateOf, DeniedList } from '../../broker-auth/mosquitto/denied-list.ts';
import { idOf, makeAuthorities, makeDevice, makePolicy } from '../../broker-auth/mosquitto/party.ts';
import { buildPart, canBuild } from '../../broker-auth/mosquitto/plugin-parts.ts';
import type { Party } from '../../x509/path/make-certificate.ts';
import { mustRun, runProgram } from '../run-program.ts';
import { type Attempt, type Broker, hasMosquitto, startBroker } from './broker.ts';
import { until } from './until.ts';

// A real Mosquitto asks our plugin, and our adapter tells it who is denied.

const NOT_AUTHORIZED = 0x87;
const ADMINISTRATIVE_ACTION = 0x98;

describe.skipIf(!canBuild || !hasMosquitto)('Mosquitto with the plugin', () => {
  const authorities = makeAuthorities();
  const { issuing } = authorities;
  const source = new DeniedList(Date.now());
  const sessions = new Sessions();
  const events: PluginEvent[] = [];
  const errors: unknown[] = [];
  let broker: Broker;
  let gate: MosquittoGate;
  let renewing: NodeJS.Timeout;

  async function openGate(maxStatusAgeSeconds = 60): Promise<MosquittoGate> {
    return openMosquittoGate({
      broker: 'mosquitto',
      listener: 'mqtt',
      policy: makePolicy(authorities, { maxStatusAgeSeconds }),
      snapshotFile: broker.snapshot,
      keyFile: broker.keyFile,
      eventsPath: broker.events,
      source,
      sessions,
      clock: Date.now,
      onEvent: (event) => events.push(event),
      onError: (error) => errors.push(error),
    });
  }

  beforeAll(async () => {
    broker = await startBroker({ plugin: buildPart('birthmark.so'), authorities });
    renewing = setInterval(() => {
      source.asOf = Date.now();
    }, 100);
    gate = await openGate();
    await until(() => gate.health().taken !== undefined);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.log(broker.log().slice(-8000), errors);
  });
  afterAll(async () => {
    clearInterval(renewing);
    await gate.stop();
    expect(await broker.stop()).toBe(0);
  });

  function codeOf(attempt: Attempt): number | string {
    if ('refused' in attempt) return attempt.refused;
    attempt.client.end(true);
    return 0;
  }

  async function live(party: Party, clientId: string) {
    const attempt = await broker.connect(party, clientId);
    if ('refused' in attempt) throw new Error(`${clientId} was refused: ${attempt.refused}`);
    return attempt;
  }

  const revoke = (party: Party) => gate.changed(source.apply(certificateOf(idOf(party, issuing)), true));
  const release = (party: Party) => gate.changed(source.apply(certificateOf(idOf(party, issuing)), false));
  /** The plugin has taken what the source says now. */
  const settled = async () => {
    const begun = Date.now();
    await gate.written();
    await until(() => (gate.health().taken?.issuedAt ?? 0) >= begun);
  };
  const denials = (reason: string) =>
    events.filter((event) => event.event === 'denied' && event.reason === reason).length;

  test('lets a device in under its own name, and says so', async () => {
    const device = makeDevice('good', issuing);
    const { client } = await live(device, 'good');
    await until(() => sessions.size === 1);
    const [session] = sessions.values();
    const id = idOf(device, issuing);
    expect(session).toMatchObject({ clientId: 'good', identity: { namespace: 'own', id: 'good' } });
    expect(session?.credentials[0]).toMatchObject({ serial: id.serial, keyHash: id.keyHash });
    expect(session?.credentials).toHaveLength(2);
    expect(sessions.standingOn(id)).toHaveLength(1);
    await client.endAsync();
    await until(() => sessions.size === 0);
    expect(events.findLast(({ event }) => event === 'disconnected')).toMatchObject({ how: 'clean' });
    expect(broker.log()).toContain("u'good'");
  });

  test.each<[string, string, () => Party, string]>([
    ['under another ClientId', 'clientId', () => makeDevice('mine', issuing), 'yours'],
    ['of another CA of the same name', 'badSignature', () => makeDevice('mine', authorities.other), 'mine'],
    [
      'for servers and code',
      'wrongUsage',
      () => makeDevice('mine', issuing, { purposes: both('3') }),
      'mine',
    ],
    [
      'without a purpose',
      'wrongUsage',
      () => makeDevice('mine', issuing, { only: [keyUsage(['digitalSignature'])] }),
      'mine',
    ],
    ['with a wildcard for an id', 'clientId', () => makeDevice('+', issuing), '+'],
  ])('denies a certificate %s', async (_, reason, make, clientId) => {
    const before = denials(reason);
    expect(codeOf(await broker.connect(make(), clientId))).toBe(NOT_AUTHORIZED);
    await until(() => denials(reason) === before + 1);
  });

  test('denies an expired certificate in the handshake already', async () => {
    const party = makeDevice('old', issuing, { fields: { notAfter: Date.now() - 2000 } });
    expect(codeOf(await broker.connect(party, 'old'))).toMatch(/expired/);
  });

  test('denies a client with a password beside its certificate no less', async () => {
    const options = { username: 'mine', password: 'guess' };
    expect(codeOf(await broker.connect(makeDevice('mine', issuing), 'yours', options))).toBe(NOT_AUTHORIZED);
    expect(codeOf(await broker.connect(makeDevice('mine', issuing), 'mine', options))).toBe(0);
  });

  test('answers MQTT 3.1.1 with "not authorized"', async () => {
    const attempt = await broker.connect(makeDevice('mine', issuing), 'yours', { protocolVersion: 4 });
    expect(codeOf(attempt)).toBe(5);
  });

  test('ends a session when its certificate ends', async () => {
    const end = Math.floor(Date.now() / 1000) * 1000 + 3000;
    const { ended } = await live(makeDevice('short', issuing, { fields: { notAfter: end } }), 'short');
    expect(await ended).toBe(ADMINISTRATIVE_ACTION);
    await until(() => events.some((event) => event.event === 'kicked' && event.cause === 'expired'));
  });

  test('ends the session of a revoked device, keeps it out, and lets its next certificate in', async () => {
    const device = makeDevice('revoked', issuing);
    const { ended } = await live(device, 'revoked');
    revoke(device);
    expect(await ended).toBe(ADMINISTRATIVE_ACTION);
    expect(codeOf(await broker.connect(device, 'revoked'))).toBe(NOT_AUTHORIZED);
    expect(codeOf(await broker.connect(makeDevice('revoked', issuing), 'revoked'))).toBe(0);
  });

  test.each([
    ['for a new key', (_old: Party) => makeDevice('rotated', issuing)],
    ['for the same key', (old: Party) => makeDevice('rotated', issuing, { key: old.key })],
  ])('leaves a device alone whose old certificate retires after it came with one %s', async (_name, make) => {
    const old = makeDevice('rotated', issuing);
    const before = await live(old, 'rotated');
    const fresh = make(old);
    const { client } = await live(fresh, 'rotated');
    await before.ended;
    await until(() => sessions.standingOn(idOf(fresh, issuing)).length === 1);
    revoke(old);
    await settled();
    await client.publishAsync('devices/rotated/up', 'still here', { qos: 1 });
    expect(client.connected).toBe(true);
    expect(codeOf(await broker.connect(old, 'rotated'))).toBe(NOT_AUTHORIZED);
    expect(codeOf(await broker.connect(fresh, 'rotated'))).toBe(0);
  });

  test('lets a device in again whose hold was released', async () => {
    const device = makeDevice('held', issuing);
    revoke(device);
    await settled();
    expect(codeOf(await broker.connect(device, 'held'))).toBe(NOT_AUTHORIZED);
    release(device);
    await settled();
    expect(codeOf(await broker.connect(device, 'held'))).toBe(0);
  });

  test('ends a session that it is asked to end, and says when it is gone', async () => {
    const device = makeDevice('asked', issuing);
    const { ended } = await live(device, 'asked');
    await until(() => sessions.standingOn(idOf(device, issuing)).length === 1);
    const asked = sessions.standingOn(idOf(device, issuing));
    expect(await gate.driver.stillLive(asked)).toHaveLength(1);
    await gate.driver.kick(asked, 'exclusive', { barred: false, isCurrent: () => true });
    expect(await ended).toBe(ADMINISTRATIVE_ACTION);
    expect(await gate.driver.stillLive(asked)).toHaveLength(0);
    expect(codeOf(await broker.connect(device, 'asked'))).toBe(0);
  });

  test('denies a resumed session whose certificate was revoked', async () => {
    const device = makeDevice('resumed', issuing);
    const { cert, key } = broker.files('resumed', device);
    const ticket = path.join(broker.folder, 'ticket');
    const connectPacket = Buffer.from('101300044d51545404020000000772657375' + '6d6564', 'hex');
    const words = [
      's_client',
      '-connect',
      `127.0.0.1:${broker.port}`,
      '-cert',
      cert,
      '-key',
      key,
      '-quiet',
      '-no_ign_eof',
    ];
    const resume = async (...more: string[]) => {
      const script = `(cat; sleep 1) | openssl ${[...words, ...more].join(' ')} 2>/dev/null`;
      return Buffer.from((await runProgram('sh', ['-c', script], { input: connectPacket })).out).toString(
        'hex',
      );
    };
    expect(await resume('-sess_out', ticket)).toBe('20020000');
    const reused = () =>
      mustRun('openssl', ['s_client', '-connect', `127.0.0.1:${broker.port}`, '-sess_in', ticket], {
        input: '',
      });
    expect(await reused()).toContain('Reused');
    expect(await resume('-sess_in', ticket)).toBe('20020000');
    revoke(device);
    await settled();
    expect(await resume('-sess_in', ticket)).toBe('20020005');
  });

  test('allows the topics of its role and no others', async () => {
    const { client } = await live(makeDevice('topics', issuing), 'topics');
    const subscribe = async (topic: string) => {
      const [grant] = await client.subscribeAsync(topic, { qos: 1 }).catch(() => []);
      return grant?.qos ?? 'denied';
    };
    expect(await subscribe('devices/topics/in/#')).toBe(1);
    expect(await subscribe('news/+')).toBe(1);
    expect(await subscribe('$share/group/news/one')).toBe(1);
    for (const topic of [
      '#',
      'devices/+/a',
      'devices/other/a',
      'news/#',
      '$SYS/#',
      '$share/g/devices/other/a',
    ])
      expect([topic, await subscribe(topic)]).toEqual([topic, 'denied']);
    const publish = (topic: string) =>
      client.publishAsync(topic, 'x', { qos: 1 }).then(
        () => 'taken',
        (error: { code?: number }) => error.code,
      );
    expect(await publish('devices/topics/up')).toBe('taken');
    expect(await publish('shared/1/up')).toBe('taken');
    for (const topic of ['devices/other/up', 'shared/no/up', 'devices/topics/secret/x', 'news/one'])
      expect([topic, await publish(topic)]).toEqual([topic, NOT_AUTHORIZED]);
    await until(() => events.some((event) => event.event === 'topicDenied' && event.topic === 'news/one'));
    await client.endAsync();
  });

  test('is told all that is live when the adapter comes again', async () => {
    const device = makeDevice('stays', issuing);
    const { client } = await live(device, 'stays');
    await until(() => sessions.standingOn(idOf(device, issuing)).length === 1);
    await gate.stop();
    for (const session of [...sessions.values()]) sessions.remove(session);
    gate = await openGate();
    await until(() => sessions.standingOn(idOf(device, issuing)).length === 1);
    client.end(true);
  });

  test('denies everyone when the snapshot runs out, keeps who is live, and comes back with the adapter', async () => {
    const { client } = await live(makeDevice('before', issuing), 'before');
    await gate.stop();
    gate = await openGate(1);
    await settled();
    await gate.stop();
    await sleep(1500);
    expect(codeOf(await broker.connect(makeDevice('late', issuing), 'late'))).toBe(NOT_AUTHORIZED);
    expect(client.connected).toBe(true);
    gate = await openGate();
    await until(() => gate.health().taken !== undefined);
    expect(codeOf(await broker.connect(makeDevice('late', issuing), 'late'))).toBe(0);
    expect(denials('statusUnknown')).toBe(0);
    client.end(true);
  });

  test.each<[string, (good: Buffer) => Buffer, string]>([
    ['is cut off', (good) => good.subarray(0, -10), 'it is cut off'],
    [
      'is forged',
      (good) => Buffer.from(good.map((octet, at) => (at === 40 ? octet ^ 1 : octet))),
      'its signature',
    ],
    ['is empty', () => Buffer.alloc(0), 'it is no snapshot'],
  ])('keeps what it has when a snapshot %s', async (_, change, why) => {
    const device = makeDevice('kept', issuing);
    revoke(device);
    await settled();
    const file = `${broker.snapshot}.odd`;
    await writeFile(file, change(readFileSync(broker.snapshot)));
    await rename(file, broker.snapshot);
    await broker.logged(why);
    expect(codeOf(await broker.connect(device, 'kept'))).toBe(NOT_AUTHORIZED);
    expect(codeOf(await broker.connect(makeDevice('kept', issuing), 'kept'))).toBe(0);
    await settled();
  });

  test('refuses an older snapshot', async () => {
    const device = makeDevice('rolled', issuing);
    const before = readFileSync(broker.snapshot);
    revoke(device);
    await settled();
    const file = `${broker.snapshot}.odd`;
    writeFileSync(file, before);
    await rename(file, broker.snapshot);
    await broker.logged('older');
    expect(codeOf(await broker.connect(device, 'rolled'))).toBe(NOT_AUTHORIZED);
    await settled();
  });

  test('lets a thousand back in that come at once, and no other', async () => {
    const devices = Array.from({ length: 1000 }, (_, at) => ({
      id: `s${at}`,
      party: makeDevice(`s${at}`, issuing),
    }));
    for (const { party } of devices.slice(0, 100)) revoke(party);
    await settled();
    const patient = { connectTimeout: 120_000 };
    const codes = await Promise.all(
      devices.map(({ id, party }) => broker.connect(party, id, patient).then(codeOf)),
    );
    expect(codes.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => NOT_AUTHORIZED));
    expect(codes.slice(100)).toEqual(Array.from({ length: 900 }, () => 0));
  }, 300_000);

  test('asks again of everybody when Mosquitto reads its configuration again, and ends nobody who may stay', async () => {
    const { client } = await live(makeDevice('again', issuing), 'again');
    await client.subscribeAsync('devices/again/in/#', { qos: 1 });
    broker.signal('SIGHUP');
    await broker.logged('Reloading config');
    await client.publishAsync('devices/again/up', 'x', { qos: 1 });
    expect(client.connected).toBe(true);
    client.end(true);
  });

  test('has had no errors but those that were made', () => {
    expect(errors).toEqual([]);
  });
});

const both = (last: string) => ['1.3.6.1.5.5.7.3.2', `1.3.6.1.5.5.7.3.${last}`];
