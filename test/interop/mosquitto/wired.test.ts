// All of it together: an authority, the gate beside a broker, Mosquitto with the plugin, and devices.
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildPart, canBuild } from '../../broker-auth/mosquitto/plugin-parts.ts';
import {
  type GateProcess,
  type IssuedDevice,
  issueDevice,
  prepareGate,
  startGate,
  until,
} from '../broker-auth/gate.ts';
import { opensslCsr } from '../csr-makers.ts';
import { freePort } from '../free-port.ts';
import { useHouse } from '../use-house.ts';
import { hasMosquitto } from './broker.ts';
import { type HouseBroker, startHouseBroker } from './house-broker.ts';

const NOT_AUTHORIZED = 0x87;
const ADMINISTRATIVE_ACTION = 0x98;
const MAX_AGE_SECONDS = 8;

const house = useHouse({
  configure: (toml) =>
    toml.replace(/^#? *coalesceSeconds = .*\n/m, '').replace('[crl]', '[crl]\ncoalesceSeconds = 1'),
});

describe.skipIf(!canBuild || !hasMosquitto)('an authority, a gate and Mosquitto', () => {
  let broker: HouseBroker;
  let gate: GateProcess;
  let port = 0;
  let gateFolder = '';
  let common = '';
  const clients = new Set<MqttClient>();

  beforeAll(async () => {
    const { folder, pem, write, read } = house();
    gateFolder = path.join(folder, 'gate');
    mkdirSync(gateFolder, { mode: 0o750 });
    port = await freePort();
    await issueServer();
    write('devices-ca.pem', read(pem('ldevid')) + read(pem('root')));
    await issueDevice(house(), 'bad-canary', 'CANARY-1');
    await issueDevice(house(), 'good-canary', 'CANARY-2');
    common = await prepareGate(house());
    gate = await startGate(house(), rules() + common);
    broker = await start();
    await until(async () => (await gate.get('/readyz'))[0] === 200, 'ready');
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.log(gate?.log(), broker?.log().slice(-4000));
  });
  afterAll(async () => {
    for (const client of clients) client.end(true);
    await broker?.stop();
    await gate?.stop();
  });

  async function issueServer(): Promise<void> {
    const { folder, write } = house();
    const csr = write('broker.csr', await opensslCsr(folder, 'broker', 'P-256', 'broker'));
    const words = ['--profile', 'server', '--ip', '127.0.0.1', '--csr', csr, '--chain'];
    await house().must('issue', ...words, '--out', path.join(folder, 'broker.pem'));
  }

  const files = () => {
    const { folder } = house();
    return {
      folder,
      ca: `${folder}/devices-ca.pem`,
      cert: `${folder}/broker.pem`,
      key: `${folder}/broker.key`,
    };
  };

  const start = () =>
    startHouseBroker({ ...files(), port, plugin: { file: buildPart('birthmark.so'), gateFolder } });

  const rules = (maxAge = 300) => `
[mosquitto]
listener = "devices"
folder = "gate"
eventsSocket = "gate/events"
[mosquitto.canaries]
everySeconds = 1
host = "127.0.0.1"
port = ${port}
caFile = "${house().pem('root')}"
denied = { certificateFile = "bad-canary.pem", keyFile = "bad-canary.key", clientId = "CANARY-1" }
allowed = { certificateFile = "good-canary.pem", keyFile = "good-canary.key", clientId = "CANARY-2" }
[listeners.devices]
maxStatusAgeSeconds = ${maxAge}
[[roles]]
name = "device"
publish = ["devices/\${id}/#"]
`;

  /** Resolves with the MQTT 5 reason of the end; rejects with that of the denial. */
  async function live(device: IssuedDevice, clientId: string, at = port) {
    const options: IClientOptions = {
      protocol: 'mqtts',
      host: '127.0.0.1',
      port: at,
      clientId,
      protocolVersion: 5,
      ca: [readFileSync(house().pem('root'))],
      cert: readFileSync(device.certificate),
      key: readFileSync(device.key),
      reconnectPeriod: 0,
    };
    const client = connect(options);
    clients.add(client);
    let reason = 0;
    client.on('disconnect', ({ reasonCode = 0 }) => {
      reason = reasonCode;
    });
    const ended = new Promise<number>((resolve) => client.on('close', () => resolve(reason)));
    await new Promise<void>((resolve, reject) => {
      client.on('connect', () => resolve());
      client.on('error', (error) => {
        client.end(true);
        reject(error);
      });
      client.on('close', () => reject(new Error('closed')));
    });
    return { client, ended };
  }

  async function codeOf(device: IssuedDevice, clientId: string, at = port): Promise<number | string> {
    try {
      const { client } = await live(device, clientId, at);
      await client.endAsync();
      return 0;
    } catch (error) {
      const { code, message } = error as { readonly code?: unknown; readonly message: string };
      return typeof code === 'number' ? code : message;
    }
  }

  const facts = async () =>
    JSON.parse((await gate.get('/readyz'))[1]) as { readonly why?: string; readonly mosquitto: object };

  test('end the session of a device that was taken back while the gate was dead', async () => {
    const device = await issueDevice(house(), 'while-dead', 'SN-DEAD');
    const bystander = await issueDevice(house(), 'while-dead-2', 'SN-ALIVE');
    const { ended } = await live(device, 'SN-DEAD');
    const other = await live(bystander, 'SN-ALIVE');
    await gate.kill();
    await house().must('revoke', '--serial', device.serial, '--reason', 'keyCompromise');
    gate = await startGate(house(), rules() + common);
    expect(await ended).toBe(ADMINISTRATIVE_ACTION);
    expect(await codeOf(device, 'SN-DEAD')).toBe(NOT_AUTHORIZED);
    expect(other.client.connected).toBe(true);
    const shown = () => house().must('certificate', 'show', device.serial, '--json');
    await until(async () => (await shown()).includes('enforcedAt'), 'the word that it is enforced');
    // Who was told of as live is ended as any other.
    await house().must('revoke', '--serial', bystander.serial, '--reason', 'cessationOfOperation');
    expect(await other.ended).toBe(ADMINISTRATIVE_ACTION);
    await until(async () => (await gate.get('/readyz'))[0] === 200, 'ready');
  });

  test('let in a device under its own name, and the authority hears that it was seen', async () => {
    const device = await issueDevice(house(), 'good', 'SN-GOOD');
    const { client } = await live(device, 'SN-GOOD');
    await client.publishAsync('devices/SN-GOOD/up', 'x', { qos: 1 });
    expect(await codeOf(device, 'SN-OTHER')).toBe(NOT_AUTHORIZED);
    const acts = () => house().must('audit', 'show', '--json');
    await until(async () => (await acts()).includes('certificate.seen'), 'the sighting');
    const [, metrics] = await gate.get('/metrics');
    expect(metrics).toContain('birthmark_gate_verdicts_total{listener="devices",reason="clientId"} 1');
    expect(metrics).toContain('birthmark_gate_plugin_connected{broker="mosquitto"} 1');
    expect(metrics).toContain('birthmark_gate_canaries{broker="mosquitto",finding="good"} 1');
    expect(metrics).toMatch(/birthmark_gate_sessions\{broker="mosquitto"\} [1-3]/);
    expect((await facts()).mosquitto).toMatchObject({ connected: true, canaries: 'good' });
    expect(await codeOf(await issueDevice(house(), 'canary-again', 'SN-AGAIN'), 'SN-AGAIN')).toBe(0);
    client.end(true);
  });

  test('end the session of a device that is taken back, keep it out, and the ledger has when', async () => {
    const device = await issueDevice(house(), 'stolen', 'SN-STOLEN');
    const { ended } = await live(device, 'SN-STOLEN');
    await house().must('revoke', '--serial', device.serial, '--reason', 'keyCompromise');
    expect(await ended).toBe(ADMINISTRATIVE_ACTION);
    expect(await codeOf(device, 'SN-STOLEN')).toBe(NOT_AUTHORIZED);
    const shown = () => house().must('certificate', 'show', device.serial, '--json');
    await until(async () => (await shown()).includes('enforcedAt'), 'the word that it is enforced');
  });

  test('let a device in again whose hold was released', async () => {
    const device = await issueDevice(house(), 'held', 'SN-HELD');
    const { ended } = await live(device, 'SN-HELD');
    await house().must('hold', '--serial', device.serial);
    expect(await ended).toBe(ADMINISTRATIVE_ACTION);
    expect(await codeOf(device, 'SN-HELD')).toBe(NOT_AUTHORIZED);
    await house().must('unhold', '--serial', device.serial);
    await until(async () => (await codeOf(device, 'SN-HELD')) === 0, 'the release', 5000);
  });

  test('notice a Mosquitto that is gone, and know who is live when it is back', async () => {
    await broker.stop();
    await until(async () => (await facts()).why?.includes('not connected') ?? false, 'the fault');
    broker = await start();
    await until(async () => (await gate.get('/readyz'))[0] === 200, 'ready');
  });

  test('go on without the authority until what is known is too old, then deny, and come back', async () => {
    const [good, bad] = [
      await issueDevice(house(), 'away-good', 'SN-AWAY-1'),
      await issueDevice(house(), 'away-bad', 'SN-AWAY-2'),
    ];
    await gate.stop();
    gate = await startGate(house(), rules(MAX_AGE_SECONDS) + common);
    await until(async () => (await gate.get('/readyz'))[0] === 200, 'ready');
    const { client } = await live(good, 'SN-AWAY-1');
    await house().must('revoke', '--serial', bad.serial, '--reason', 'superseded');
    await until(async () => (await codeOf(bad, 'SN-AWAY-2')) === NOT_AUTHORIZED, 'the denial');
    await house().kill();
    const killedAt = performance.now();
    expect(await codeOf(await knownDevice('good'), 'SN-GOOD')).toBe(0);
    await until(
      async () => (await codeOf(await knownDevice('good'), 'SN-GOOD')) === NOT_AUTHORIZED,
      'the end',
    );
    expect((performance.now() - killedAt) / 1000).toBeGreaterThan(MAX_AGE_SECONDS / 2);
    expect((await gate.get('/readyz'))[0]).toBe(503);
    expect(client.connected).toBe(true);

    await house().restart();
    await until(
      async () => (await codeOf(await knownDevice('good'), 'SN-GOOD')) === 0,
      'the authority',
      60_000,
    );
    expect(await codeOf(bad, 'SN-AWAY-2')).toBe(NOT_AUTHORIZED);
    client.end(true);
  });

  test('keep the CRL file of a Mosquitto without the plugin', async () => {
    const { folder, pem, must, published } = house();
    const [revoked, device, fine] = [
      await issueDevice(house(), 'revoked', 'SN-REVOKED'),
      await issueDevice(house(), 'listed', 'SN-LISTED'),
      await issueDevice(house(), 'fine', 'SN-FINE'),
    ];
    await must('revoke', '--serial', revoked.serial, '--reason', 'superseded');
    const at = await freePort();
    await gate.stop();
    const list = (name: string) => `"${published(`http://pki.lab.example/crl/${name}.crl`)}"`;
    gate = await startGate(
      house(),
      `[[crlFiles]]
file = "broker.crl"
urls = [${list('root')}, ${list('ldevid')}]
issuerFiles = ["${pem('root')}", "${pem('ldevid')}"]
everySeconds = 1
pidFile = "mosquitto.pid"
[crlFiles.canaries]
host = "127.0.0.1"
port = ${at}
caFile = "${pem('root')}"
denied = { certificateFile = "revoked.pem", keyFile = "revoked.key", clientId = "SN-REVOKED" }
allowed = { certificateFile = "fine.pem", keyFile = "fine.key", clientId = "SN-FINE" }
${rules()}${common}`,
    );
    await until(() => gate.log().includes('mosquitto.pid'), 'the first list, and nobody to tell');
    const plain = await startHouseBroker({
      ...files(),
      port: at,
      lines: [
        'use_subject_as_username true',
        `crlfile ${folder}/broker.crl`,
        `pid_file ${folder}/mosquitto.pid`,
      ],
    });
    try {
      await until(async () => (await gate.get('/readyz'))[0] === 200, 'the proof', 30_000);
      expect(await codeOf(device, 'SN-LISTED', at)).toBe(0);
      await must('revoke', '--serial', device.serial, '--reason', 'superseded');
      await until(async () => (await codeOf(device, 'SN-LISTED', at)) !== 0, 'the new list', 30_000);
      expect(await codeOf(fine, 'SN-FINE', at)).toBe(0);
    } finally {
      await plain.stop();
    }
  });

  async function knownDevice(name: string): Promise<IssuedDevice> {
    const { folder } = house();
    return { key: `${folder}/${name}.key`, certificate: `${folder}/${name}.pem`, der: '', serial: '' };
  }
});
