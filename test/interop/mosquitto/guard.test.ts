// The behaviour guard of `broker-auth serve` beside a real Mosquitto with the plugin, which asks nobody and tells what it sees.
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { connect, type MqttClient } from 'mqtt';
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

const house = useHouse();

const RULES = `
[mosquitto]
listener = "devices"
folder = "gate"
eventsSocket = "gate/events"
[listeners.devices]
[[roles]]
name = "device"
publish = ["devices/\${id}/#"]
[guard]
exempt = ["device:own/GW-*"]
[[guard.rules]]
name = "scanning"
behaviour = "topicDenied"
moreThan = 5
withinSeconds = 300
reaction = "block"
forSeconds = 3600
[[guard.rules]]
name = "guessing"
behaviour = "authenticationFailed"
moreThan = 5
withinSeconds = 300
reaction = "quarantine"
`;

describe.skipIf(!canBuild || !hasMosquitto)('the guard beside Mosquitto', () => {
  let broker: HouseBroker;
  let gate: GateProcess;
  let toml = '';
  const clients = new Set<MqttClient>();

  beforeAll(async () => {
    const { folder, pem, write, read } = house();
    const gateFolder = path.join(folder, 'gate');
    mkdirSync(gateFolder, { mode: 0o750 });
    const csr = write('broker.csr', await opensslCsr(folder, 'broker', 'P-256', 'broker'));
    const words = ['--profile', 'server', '--ip', '127.0.0.1', '--csr', csr, '--chain'];
    await house().must('issue', ...words, '--out', path.join(folder, 'broker.pem'));
    const ca = write('devices-ca.pem', read(pem('ldevid')) + read(pem('root')));
    toml = RULES + (await prepareGate(house()));
    gate = await startGate(house(), toml);
    broker = await startHouseBroker({
      ...{ folder, ca, cert: `${folder}/broker.pem`, key: `${folder}/broker.key`, port: await freePort() },
      plugin: { file: buildPart('birthmark.so'), gateFolder },
    });
    await ready();
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.log(gate?.log(), broker?.log().slice(-4000));
  });
  afterAll(async () => {
    for (const client of clients) client.end(true);
    await broker?.stop();
    await gate?.stop();
  });

  const ready = () => until(async () => (await gate.get('/readyz'))[0] === 200, 'ready');

  /** Resolves with the client and the MQTT 5 reason of its end; rejects with the reason of the denial. */
  async function live({ certificate, key }: IssuedDevice, clientId: string) {
    const client = connect({
      ...{ protocol: 'mqtts', host: '127.0.0.1', port: broker.port, clientId, protocolVersion: 5 },
      ca: [readFileSync(house().pem('root'))],
      cert: readFileSync(certificate),
      key: readFileSync(key),
      reconnectPeriod: 0,
    });
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
    });
    return { client, ended };
  }

  async function codeOf(device: IssuedDevice, clientId: string): Promise<unknown> {
    try {
      const { client } = await live(device, clientId);
      await client.endAsync();
      return 0;
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error;
    }
  }

  async function scan(client: MqttClient, topics = 6): Promise<void> {
    for (let n = 0; n < topics && client.connected; n += 1)
      await client.subscribeAsync(`devices/SN-${n}/up`).catch(() => undefined);
  }

  const onBlocks = (...words: readonly string[]) =>
    house().birthmark('broker-auth', 'blocks', ...words, '--config', path.join(house().folder, 'gate.toml'));
  const blocks = async (): Promise<readonly { readonly who: string; readonly rule: string }[]> =>
    JSON.parse((await onBlocks('list', '--json')).out).items;

  test('ends who scans topics and keeps it out, over a restart too, until a person lets it in again', async () => {
    const scanner = await issueDevice(house(), 'scanner', 'SN-SCAN');
    const other = await issueDevice(house(), 'other', 'SN-OTHER');
    const few = await live(scanner, 'SN-SCAN');
    await scan(few.client, 5);
    expect(few.client.connected).toBe(true);
    await few.client.subscribeAsync('devices/SN-9/up').catch(() => undefined);
    expect(await few.ended).toBe(ADMINISTRATIVE_ACTION);
    expect(await codeOf(scanner, 'SN-SCAN')).toBe(NOT_AUTHORIZED);
    expect(await codeOf(other, 'SN-OTHER')).toBe(0);
    expect(await blocks()).toMatchObject([{ who: 'device:own/SN-SCAN', rule: 'scanning' }]);
    expect((await gate.get('/metrics'))[1]).toContain('birthmark_gate_blocks{reaction="block"} 1');

    await gate.stop();
    gate = await startGate(house(), toml);
    await ready();
    expect(await codeOf(scanner, 'SN-SCAN')).toBe(NOT_AUTHORIZED);
    const asked = ['broker-auth', 'explain', '--config', path.join(house().folder, 'gate.toml')];
    const who = ['--listener', 'devices', '--cert', scanner.certificate, '--client-id', 'SN-SCAN'];
    expect((await house().birthmark(...asked, ...who)).out).toContain(
      'refused  guard: gate  device:own/SN-SCAN  block',
    );
    expect(await onBlocks('lift', 'device:own/SN-SCAN')).toMatchObject({ status: 0 });
    await until(async () => (await codeOf(scanner, 'SN-SCAN')) === 0, 'the release');
    expect(gate.log()).toContain('a person lifted a block');
  });

  test('holds it against a device that it uses the ClientId of another, never against that one', async () => {
    const [attacker, victim] = [
      await issueDevice(house(), 'attacker', 'SN-ATTACK'),
      await issueDevice(house(), 'victim', 'SN-VICTIM'),
    ];
    for (let n = 0; n < 6; n += 1) expect(await codeOf(attacker, 'SN-VICTIM')).toBe(NOT_AUTHORIZED);
    const shown = () => house().must('certificate', 'show', attacker.serial, '--json');
    await until(async () => JSON.parse(await shown()).status === 'held', 'the hold of the attacker');
    expect(await codeOf(attacker, 'SN-ATTACK')).toBe(NOT_AUTHORIZED);
    expect(await codeOf(victim, 'SN-VICTIM')).toBe(0);
    expect(await house().must('audit', 'show')).toContain('device.quarantineByGate');
    await until(async () => (await blocks()).length === 0, 'the hold in the place of the block');
    await house().must('device', 'release', 'SN-ATTACK');
    await until(async () => (await codeOf(attacker, 'SN-ATTACK')) === 0, 'the release');
  });

  test('leaves a gateway alone that is exempt', async () => {
    const gateway = await issueDevice(house(), 'gateway', 'GW-1');
    const { client } = await live(gateway, 'GW-1');
    await scan(client, 12);
    await client.publishAsync('devices/GW-1/up', 'x', { qos: 1 });
    expect(client.connected).toBe(true);
    expect(await blocks()).toEqual([]);
  });

  test('does nothing to a victim whose ClientId somebody uses without a certificate', async () => {
    const victim = await issueDevice(house(), 'victim-2', 'SN-VICTIM-2');
    for (let n = 0; n < 8; n += 1) {
      const client = connect({
        ...{ protocol: 'mqtts', host: '127.0.0.1', port: broker.port, clientId: 'SN-VICTIM-2' },
        ca: [readFileSync(house().pem('root'))],
        reconnectPeriod: 0,
      });
      client.on('error', () => undefined);
      await new Promise<void>((resolve, reject) => {
        client.on('connect', () => reject(new Error('the attacker is in')));
        client.on('close', () => resolve());
      });
      client.end(true);
    }
    expect(await codeOf(victim, 'SN-VICTIM-2')).toBe(0);
    expect(await blocks()).toEqual([]);
  });

  test('says that it does not run, to who asks for it then', async () => {
    await gate.stop();
    const { status, err } = await onBlocks('list');
    expect([status, err]).toEqual([1, expect.stringContaining('no gate answers on')]);
  });
});
