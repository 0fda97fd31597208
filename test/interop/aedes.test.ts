import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { connect as connectMqtt, type IClientOptions, type MqttClient } from 'mqtt';
import { describe, expect, test } from 'vitest';
import type { House } from './house.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

// `serve --broker`, with mosquitto_pub, mosquitto_sub and mqtt.js as the devices.

/** Protocol level of MQTT 3.1.1. */
const LEVEL = 4;

interface Device {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  readonly serial: string;
}

async function makeDevice(house: House, name: string, profile = 'ldevid'): Promise<Device> {
  const at = (ending: string) => path.join(house.folder, `${name}.${profile}.${ending}`);
  await house.program('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', at('key'));
  await house.program('openssl', 'req', '-new', '-key', at('key'), '-subj', '/', '-out', at('csr'));
  const words = ['--serial-number', name, '--csr', at('csr'), '--out', at('pem'), '--chain'];
  const hardware = profile === 'idevid' ? ['--hw-type', '1.3.6.1.4.1.99999.1', '--hw-serial-num', name] : [];
  await house.must('issue', '--profile', profile, ...words, ...hardware);
  const text = await house.program('openssl', 'x509', '-in', at('pem'), '-noout', '-serial');
  return { name, cert: at('pem'), key: at('key'), serial: text.trim().replace('serial=', '') };
}

function address(house: House, name = 'mqtt'): URL {
  return new URL(JSON.parse(house.read('ready.json'))[name]);
}

function mosquitto(house: House, { cert, key }: Device, ...words: readonly string[]): string[] {
  const port = address(house).port;
  const tls = ['--cafile', house.pem('root'), '--cert', cert, '--key', key];
  return ['-h', '127.0.0.1', '-p', port, ...tls, ...words];
}

/** Publishes to its own topic; gives what mosquitto_pub said, empty where all is well. */
async function publish(house: House, device: Device, clientId = device.name): Promise<string> {
  const words = ['-i', clientId, '-t', `devices/${device.name}/up`, '-m', 'hello', '-q', '1'];
  const { status, err } = await runProgram('mosquitto_pub', mosquitto(house, device, ...words));
  return status === 0 ? '' : err;
}

/** mosquitto_sub on its own topics; it ends when it is put out. */
function subscribe(house: House, device: Device): ChildProcess & { readonly said: () => string } {
  const words = ['-d', '-i', device.name, '-t', `devices/${device.name}/#`, '-v'];
  // Its output is no terminal: without stdbuf it would come in blocks.
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...mosquitto(house, device, ...words)]);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      said += part.toString();
    });
  return Object.assign(child, { said: () => said });
}

function mqttJs(
  house: House,
  { cert, key, name }: Device,
  options: IClientOptions = {},
  listener = 'mqtt',
): MqttClient {
  const client = connectMqtt(address(house, listener).href, {
    clientId: name,
    ca: readFileSync(house.pem('root')),
    cert: readFileSync(cert),
    key: readFileSync(key),
    reconnectPeriod: 0,
    ...options,
  });
  client.on('error', () => undefined);
  return client;
}

function event(client: MqttClient, name: 'connect' | 'close' | 'error'): Promise<void> {
  return new Promise((resolve) => client.once(name, () => resolve()));
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  for (let waited = 0; !condition(); waited += 20) {
    if (waited > 20_000) throw new Error(`it did not happen within 20 s: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const serve = ['--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0'];

describe('the broker of a house', () => {
  const house = useHouse({ serve });

  test('lets a device in by its certificate, over TLS and over WebSocket', async () => {
    const device = await makeDevice(house(), 'SN-1');
    const listener = subscribe(house(), device);
    await until(() => listener.said().includes('SUBACK'), listener.said);
    expect(await publish(house(), await makeDevice(house(), 'SN-2'))).toBe('');
    listener.kill();
    const web = mqttJs(house(), device, {}, 'mqttWs');
    await event(web, 'connect');
    await web.publishAsync('devices/SN-1/up', 'hello', { qos: 1 });
    web.end(true);
  });

  test('tells a device why it is denied: another ClientId, another CA, an IDevID without usage', async () => {
    const device = await makeDevice(house(), 'SN-3');
    expect(await publish(house(), device, 'SN-4')).toContain('identifier rejected');
    const forged = { ...device, cert: house().write('forged.pem', ''), key: house().write('forged.key', '') };
    await house().program(
      ...([
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
      ] as const),
      ...['-subj', '/serialNumber=SN-3', '-addext', 'extendedKeyUsage=clientAuth'],
      ...['-keyout', forged.key, '-out', forged.cert],
    );
    expect(await publish(house(), forged)).toContain('not authorised');
    expect(await publish(house(), await makeDevice(house(), 'SN-3', 'idevid'))).toContain('not authorised');
    expect(await publish(house(), device)).toBe('');
  });

  test('denies topics of others, and ends who publishes to them', async () => {
    const device = await makeDevice(house(), 'SN-5');
    const words = mosquitto(house(), device, '-i', 'SN-5', '-d', '-t', 'devices/#', '-W', '1');
    const { out } = await runProgram('mosquitto_sub', words);
    expect(out).toContain('128');
    const forging = mosquitto(house(), device, '-i', 'SN-5', '-t', 'devices/SN-1/up', '-m', 'x', '-q', '1');
    expect((await runProgram('mosquitto_pub', forging)).status).not.toBe(0);
  });

  test('ends a live session when its certificate is revoked, and does not let it in again', async () => {
    const device = await makeDevice(house(), 'SN-6');
    const listener = subscribe(house(), device);
    await until(() => listener.said().includes('SUBACK'), listener.said);
    await house().must('revoke', '--serial', device.serial, '--reason', 'cessationOfOperation');
    await until(() => listener.exitCode !== null, listener.said);
    expect(listener.said()).toContain('The connection was lost');
    expect(await publish(house(), device)).toContain('not authorised');
  });

  test('ends a session that is held, and lets it in again when it is released', async () => {
    const device = await makeDevice(house(), 'SN-7');
    const client = mqttJs(house(), device);
    await event(client, 'connect');
    const closed = event(client, 'close');
    await house().must('hold', '--serial', device.serial);
    await closed;
    expect(await publish(house(), device)).toContain('not authorised');
    await house().must('unhold', '--serial', device.serial);
    await until(
      () => true,
      () => '',
    );
    for (let tries = 0; tries < 50 && (await publish(house(), device)) !== ''; tries += 1);
    expect(await publish(house(), device)).toBe('');
  });

  test('judges a resumed TLS session by what is known now', async () => {
    const device = await makeDevice(house(), 'SN-8');
    const options = {
      host: '127.0.0.1',
      port: Number(address(house()).port),
      ca: readFileSync(house().pem('root')),
      cert: readFileSync(device.cert),
      key: readFileSync(device.key),
    };
    const first = connectTls(options);
    const session = await new Promise<Buffer>((resolve) => first.once('session', resolve));
    first.destroy();
    const connack = async () => {
      const socket = connectTls({ ...options, session });
      const code = await speak(socket, device.name);
      const resumed = socket.isSessionReused();
      socket.destroy();
      return { resumed, code };
    };
    expect(await connack()).toEqual({ resumed: true, code: 0 });
    await house().must('revoke', '--serial', device.serial, '--reason', 'superseded');
    await until(() => house().log().includes('revoked'), house().log);
    expect(await connack()).toEqual({ resumed: true, code: 5 });
  });

  test('shows its own certificate, and no weak suite', async () => {
    const port = address(house()).port;
    const asked = (...words: readonly string[]) =>
      runProgram(
        'openssl',
        ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', house().pem('root'), ...words],
        {
          input: '',
        },
      );
    expect((await asked('-verify_return_error', '-verify_ip', '127.0.0.1')).out).toContain(
      'Verification: OK',
    );
    expect((await asked('-tls1_1')).out).toContain('Cipher is (NONE)');
    expect((await asked('-tls1_2', '-cipher', 'AES128-SHA')).out).toContain('Cipher is (NONE)');
    expect((await asked('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256')).out).not.toContain(
      'Cipher is (NONE)',
    );
  });
});

/** A CONNECT by hand (MQTT 3.1.1 §3.1); gives the code of the CONNACK. */
function speak(socket: TLSSocket, clientId: string): Promise<number | undefined> {
  const name = Buffer.from(clientId);
  const body = Buffer.from([0, 4, ...Buffer.from('MQTT'), LEVEL, 2, 0, 60, 0, name.length, ...name]);
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => socket.write(Buffer.from([0x10, body.length, ...body])));
    socket.once('data', (answer: Buffer) => resolve(answer[3]));
    socket.once('error', reject);
  });
}

describe('the broker of a house with workers', () => {
  const house = useHouse({
    serve: [...serve, '--workers', '2'],
    configure: (toml) =>
      toml.replace(
        '[broker.listeners.mqtt]\n',
        '[broker.listeners.mqtt]\nmaxSessionSeconds = 2\nsessionJitter = 0\n',
      ),
  });

  test('hears of a revocation that a worker records', async () => {
    const device = await makeDevice(house(), 'SN-1');
    const client = mqttJs(house(), device, {}, 'mqttWs');
    await event(client, 'connect');
    const closed = event(client, 'close');
    const admin = await house().tokenFile('admin', '--role', 'operator');
    const { status } = await house().curl(
      `/api/v1/certificates/${device.serial.toLowerCase()}/revoke`,
      ...['-H', `authorization: Bearer ${admin}`, '-H', 'content-type: application/json'],
      ...['-d', '{"reason":"keyCompromise"}'],
    );
    expect(status).toBe(200);
    await closed;
    expect(await publish(house(), device)).toContain('not authorised');
  });

  test('ends a session at its age, and lets the device come again', async () => {
    const device = await makeDevice(house(), 'SN-2');
    const client = mqttJs(house(), device, { reconnectPeriod: 50 });
    await event(client, 'connect');
    const begun = event(client, 'close');
    await begun;
    await event(client, 'connect');
    client.end(true);
  });
});
