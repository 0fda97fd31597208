// CNSA 2.0 on the embedded broker's real listener: TLS 1.3 with ML-KEM-1024, AES-256 and ML-DSA-87 on both sides.
import { connect as connectTls, type SecureVersion } from 'node:tls';
import { connect, type MqttClient } from 'mqtt';
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openAedesBroker } from '../../../src/broker-auth/adapters/aedes/aedes-broker.ts';
import { compilePolicy } from '../../../src/broker-auth/adapters/mosquitto/compile-policy.ts';
import { assembleGate } from '../../../src/broker-auth/assemble-gate.ts';
import type { ConnectVerdict } from '../../../src/broker-auth/decide.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import { probeBroker } from '../../../src/broker-auth/probe/probe-broker.ts';
import { listenMqtt } from '../../../src/server/mqtt/mqtt-listener.ts';
import { primitive, sequence } from '../../../src/x509/der/encode.ts';
import { EXTENDED_KEY_USAGE, extension } from '../../../src/x509/extensions.ts';
import { keyPem, pem } from '../../broker-auth/adapters/aedes-house.ts';
import { named, policyConfig, toldStatus } from '../../broker-auth/lab.ts';
import { codeOfAsync, seededRandom, testClock } from '../../house.ts';
import { codeOf } from '../../x509/code-of.ts';
import { makeAuthority, makeCertificate, type Party } from '../../x509/path/make-certificate.ts';
import { mlDsaKey, type Size } from '../../x509/path/ml-dsa-key.ts';

const DAY = 86_400_000;
const TODAY = { notBefore: Date.now() - DAY, notAfter: Date.now() + DAY };
const LOOPBACK = extension('2.5.29.17', false, sequence(primitive(0x87, Buffer.from([127, 0, 0, 1]))));

function makeWorld(size: Size = 87) {
  const root = makeAuthority({ cn: `root ${size}`, key: mlDsaKey(size), fields: TODAY });
  const server = makeCertificate({
    ...{ cn: 'broker', issuer: root, key: mlDsaKey(size), fields: TODAY },
    purposes: [EXTENDED_KEY_USAGE.serverAuth],
    extra: [LOOPBACK],
  });
  const device = (id: string, key = mlDsaKey(size)) =>
    makeCertificate({ issuer: root, key, fields: { ...TODAY, ...named(id).fields } });
  return { root, server, device };
}

const policy = (root: Party) =>
  parsePolicy(policyConfig({ listeners: { mqtt: { preset: 'cnsa-2' } } }), [
    { namespace: 'own', anchors: [root.der], intermediates: [] },
  ]);

async function openBroker({ root, server }: ReturnType<typeof makeWorld>) {
  const clock = testClock(Date.now());
  const status = toldStatus(clock, [root]);
  const verdicts: ConnectVerdict[] = [];
  const { door, close } = await openAedesBroker({ broker: 'test', onFault: () => undefined });
  onTestFinished(close);
  const rules = policy(root);
  const { gate } = assembleGate({
    policy: rules,
    sources: [status],
    drivers: [door.driver],
    clock: clock.now,
    random: seededRandom(),
    onVerdict: (_attempt, verdict) => verdicts.push(verdict),
    onError: () => undefined,
  });
  door.guard(gate);
  const opened = await listenMqtt({
    door,
    tls: { version: () => '1', read: () => ({ cert: pem(server.der), key: keyPem(server) }) },
    names: [],
    listeners: rules.listeners,
    at: { host: '127.0.0.1', port: 0 },
    random: seededRandom(),
    logger: pino({ level: 'silent' }),
  });
  onTestFinished(() => opened.close());
  return { url: opened.addresses.mqtt, status, gate, verdicts };
}

type Broker = Awaited<ReturnType<typeof openBroker>>;

interface Speech {
  readonly ecdhCurve?: string;
  readonly ciphers?: string;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
}

/** Of a client that speaks as CNSA 2.0 asks. */
const STRICT = { ecdhCurve: 'MLKEM1024', minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' } as const;

async function arrive({ url }: Broker, root: Party, device: Party, clientId: string, more: Speech = {}) {
  const client = connect(url, {
    ...{ ca: pem(root.der), cert: pem(device.der), key: keyPem(device), clientId, reconnectPeriod: 0 },
    ...STRICT,
    ...more,
  });
  onTestFinished(async () => void client.end(true));
  return new Promise<MqttClient | string>((resolve) => {
    client.once('connect', () => resolve(client));
    client.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  });
}

describe('a broker by cnsa-2', () => {
  test('speaks TLS 1.3 with ML-KEM-1024 and AES-256, and both sides prove themselves by ML-DSA-87', async () => {
    const world = makeWorld();
    const broker = await openBroker(world);
    const device = world.device('dev1');
    const client = await arrive(broker, world.root, device, 'dev1');
    if (typeof client === 'string') throw new Error(client);
    await client.publishAsync('devices/dev1/up', 'x', { qos: 1 });
    expect(broker.verdicts).toMatchObject([{ allow: true, identity: { id: 'dev1' } }]);

    const { hostname, port } = new URL(broker.url);
    const socket = connectTls({
      ...{
        host: hostname,
        port: Number(port),
        ca: pem(world.root.der),
        cert: pem(device.der),
        key: keyPem(device),
      },
      ...STRICT,
    });
    await new Promise<void>((resolve) => socket.once('secureConnect', () => resolve()));
    expect(socket.authorized).toBe(true);
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.getCipher().standardName).toBe('TLS_AES_256_GCM_SHA384');
    expect(socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType).toBe('ml-dsa-87');
    socket.destroy();
  });

  test('ends the session of a device that is taken back, and refuses it', async () => {
    const world = makeWorld();
    const broker = await openBroker(world);
    const device = world.device('dev1');
    const client = await arrive(broker, world.root, device, 'dev1');
    if (typeof client === 'string') throw new Error(client);
    const closed: Promise<void> = new Promise((resolve) => client.once('close', () => resolve()));
    broker.status.tell(device, world.root, 'revoked');
    const [session] = broker.gate.sessions.values();
    for (const certificate of session?.credentials ?? []) broker.gate.takenBack({ certificate }, 'revoked');
    await closed;
    expect(await arrive(broker, world.root, device, 'dev1')).toBe('5');
  });

  test.each<[string, Speech]>([
    ['X25519', { ecdhCurve: 'X25519' }],
    ['P-384 and ML-KEM-1024 together', { ecdhCurve: 'SecP384r1MLKEM1024' }],
    ['AES-128', { ciphers: 'TLS_AES_128_GCM_SHA256' }],
    ['TLS 1.2', { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT', ecdhCurve: 'auto' }],
  ])('has no handshake with %s', async (_name, more) => {
    const world = makeWorld();
    const broker = await openBroker(world);
    const answer = await arrive(broker, world.root, world.device('dev1'), 'dev1', more);
    expect(answer).toMatch(/EPROTO|ERR_SSL|ECONNRESET/);
    expect(broker.verdicts).toEqual([]);
    expect(await arrive(broker, world.root, world.device('dev1'), 'dev1')).not.toBeTypeOf('string');
  });

  test.each<[string, Size | 'P-384']>([
    ['ML-DSA-44', 44],
    ['ML-DSA-65', 65],
    ['P-384', 'P-384'],
  ])('refuses a device with a key of %s', async (_name, kind) => {
    const world = makeWorld();
    const broker = await openBroker(world);
    const key = kind === 'P-384' ? makeCertificate({ key: 'P-384' }).key : mlDsaKey(kind);
    expect(await arrive(broker, world.root, world.device('dev1', key), 'dev1')).toBe('5');
    expect(broker.verdicts).toMatchObject([{ allow: false, reason: 'weak' }]);
  });

  test('does not open with a weaker key of its own', async () => {
    expect(await codeOfAsync(openBroker(makeWorld(65)))).toBe('config-invalid');
  });

  test('has nothing that doctor would find', async () => {
    const world = makeWorld();
    const broker = await openBroker(world);
    const { hostname, port } = new URL(broker.url);
    const target = { host: hostname, port: Number(port), plain: false, preset: 'cnsa-2' } as const;
    const rest = { anchors: [world.root.der], refused: [], at: Date.now(), random: seededRandom() };
    const findings = await probeBroker({ ...target, ...rest });
    expect(findings.filter(({ state }) => state === 'failed')).toEqual([]);
    expect(findings.find(({ name }) => name === 'groups')?.detail).toBe('it takes MLKEM1024');
  });
});

test("Mosquitto's plugin refuses cnsa-2, since its OpenSSL knows no ML-DSA", () => {
  const { root } = makeWorld();
  expect(codeOf(() => compilePolicy(policy(root), 'mqtt'))).toBe('config-invalid');
});
