import { readFileSync } from 'node:fs';
import path from 'node:path';
import { connect as connectMqtt, type MqttClient } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { type House, lastLine } from './house.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

// Devices that renew while they are connected: openssl makes their keys, curl asks, mqtt.js and mosquitto_pub speak MQTT.

interface Device {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  readonly serial: string;
}

async function makeCsr(house: House, file: string): Promise<{ readonly key: string; readonly csr: string }> {
  const [key, csr] = [path.join(house.folder, `${file}.key`), path.join(house.folder, `${file}.csr`)];
  await house.program('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key);
  await house.program('openssl', 'req', '-new', '-key', key, '-subj', '/', '-out', csr);
  return { key, csr };
}

async function born(house: House, name: string): Promise<Device> {
  const { key, csr } = await makeCsr(house, `${name}-idevid`);
  const cert = path.join(house.folder, `${name}-idevid.pem`);
  await house.must(
    'issue',
    '--profile',
    'idevid',
    '--serial-number',
    name,
    '--csr',
    csr,
    '--out',
    cert,
    '--chain',
  );
  return { name, cert, key, serial: await serialOf(house, cert) };
}

async function serialOf(house: House, cert: string): Promise<string> {
  const text = await house.program('openssl', 'x509', '-in', cert, '-noout', '-serial');
  return text.trim().replace('serial=', '').toLowerCase();
}

interface Enrolled {
  readonly status: number;
  readonly device?: Device;
}

let made = 0;

/** Asks for an LDevID with a new key, by a certificate that it has. */
async function enroll(house: House, by: Device): Promise<Enrolled> {
  made += 1;
  const { key, csr } = await makeCsr(house, `${by.name}-${made}`);
  const body = house.write(`${by.name}-${made}.json`, JSON.stringify({ csr: readFileSync(csr, 'utf8') }));
  const { status, body: text } = await house.curl(
    '/api/v1/enroll',
    ...['--cert', by.cert, '--key', by.key, '-H', 'content-type: application/json', '-d', `@${body}`],
  );
  if (status !== 200) return { status };
  const { certificate, chain } = JSON.parse(text);
  const cert = house.write(`${by.name}-${made}.pem`, [certificate, ...chain].join(''));
  return { status, device: { name: by.name, cert, key, serial: await serialOf(house, cert) } };
}

async function mustEnroll(house: House, by: Device): Promise<Device> {
  const { device, status } = await enroll(house, by);
  if (!device) throw new Error(`the enrollment was answered with ${status}`);
  return device;
}

const brokerOf = (house: House) => new URL(JSON.parse(house.read('ready.json')).mqtt);

async function publish(house: House, { name, cert, key }: Device): Promise<string> {
  const words = ['-h', '127.0.0.1', '-p', brokerOf(house).port, '--cafile', house.pem('root')];
  const device = ['--cert', cert, '--key', key, '-i', name, '-t', `devices/${name}/up`, '-m', 'x', '-q', '1'];
  const { status, err } = await runProgram('mosquitto_pub', [...words, ...device]);
  return status === 0 ? '' : err;
}

async function connect(house: House, { name, cert, key }: Device): Promise<MqttClient> {
  const client = connectMqtt(brokerOf(house).href, {
    clientId: name,
    ca: readFileSync(house.pem('root')),
    cert: readFileSync(cert),
    key: readFileSync(key),
    reconnectPeriod: 0,
  });
  client.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('close', () => reject(new Error('it was closed')));
  });
  return client;
}

const show = async (house: House, name: string) =>
  JSON.parse(await house.must('device', 'show', name, '--json'));
const statusOf = async (house: House, { name, serial }: Device): Promise<string> =>
  (await show(house, name)).certificates.find((one: { serial: string }) => one.serial === serial)?.status;

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`it did not happen within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

describe('a device of a broker', () => {
  const house = useHouse({
    serve: ['--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0'],
    configure: (toml) =>
      toml
        .replace('graceMinutes = 60', 'graceMinutes = 0')
        .replace('toleranceSeconds = 300', 'toleranceSeconds = 1')
        .replace('[broker]', '[broker]\nresightSeconds = 1'),
  });

  test('renews while it is connected, comes again with the new one, and the old one is retired and denied', async () => {
    const idevid = await born(house(), 'SN-1');
    const old = await mustEnroll(house(), idevid);
    const first = await connect(house(), old);
    await until(async () => (await show(house(), 'SN-1')).state === 'active', 'it is seen');
    const renewed = await mustEnroll(house(), old);
    expect((await show(house(), 'SN-1')).state).toBe('rotating');
    expect(first.connected).toBe(true);
    first.end(true);
    const second = await connect(house(), renewed);
    await until(async () => (await statusOf(house(), old)) === 'revoked', 'the old one is retired');
    const { certificates, state } = await show(house(), 'SN-1');
    expect([
      state,
      certificates.find(({ serial }: Device) => serial === old.serial).revocation.reason,
    ]).toEqual(['active', 'superseded']);
    expect(second.connected).toBe(true);
    await second.publishAsync('devices/SN-1/up', 'hello', { qos: 1 });
    second.end(true);
    const shown = await house().must('device', 'show', 'SN-1');
    expect(shown).toMatch(/^own\/SN-1 {2}active, known since /);
    expect(shown).toMatch(new RegExp(`^${old.serial} +ldevid +revoked \\(superseded\\) `, 'm'));
    // Last: to come with what was retired is what a thief does.
    expect(await publish(house(), old)).toContain('not authorised');
  });

  test('is told by its own topic when to renew, and told anew when somebody calls', async () => {
    const device = await mustEnroll(house(), await born(house(), 'SN-2'));
    const client = await connect(house(), device);
    const told: { cause: string; serial: string; suggestedWindow: { start: string } }[] = [];
    client.on('message', (_topic, payload) => told.push(JSON.parse(payload.toString())));
    await client.subscribeAsync('devices/SN-2/renewal', { qos: 0 });
    await until(async () => told.length > 0, 'it is told');
    expect(told[0]).toMatchObject({ cause: 'schedule', serial: device.serial });
    expect(Date.parse(told[0]?.suggestedWindow.start ?? '')).toBeGreaterThan(Date.now());
    await house().must('device', 'call-renewal', 'SN-2');
    await until(async () => told.at(-1)?.cause === 'operator', 'it is told of the call');
    expect(Date.parse(told.at(-1)?.suggestedWindow.start ?? '')).toBeLessThanOrEqual(Date.now());
    const [grant] = await client
      .subscribeAsync('devices/SN-1/renewal', { qos: 0 })
      .catch(() => [{ qos: 128 }]);
    expect(grant?.qos).toBe(128);
    client.end(true);
  });

  test('whose thief renews first is found when it comes itself: both are put out, and it recovers', async () => {
    const idevid = await born(house(), 'SN-3');
    const own = await mustEnroll(house(), idevid);
    expect(await publish(house(), own)).toBe('');
    const thiefs = await mustEnroll(house(), own);
    const thief = await connect(house(), thiefs);
    const thrownOut = new Promise<void>((resolve) => thief.once('close', () => resolve()));
    await until(async () => {
      await publish(house(), own);
      return (await show(house(), 'SN-3')).state === 'quarantined';
    }, 'the conflict is found');
    await thrownOut;
    expect((await show(house(), 'SN-3')).quarantine.cause).toBe('conflict');
    expect(await publish(house(), own)).not.toBe('');
    expect(await publish(house(), thiefs)).not.toBe('');
    expect((await enroll(house(), thiefs)).status).toBe(403);
    const back = await mustEnroll(house(), idevid);
    expect((await show(house(), 'SN-3')).state).toBe('recovering');
    expect(await publish(house(), back)).toBe('');
    await until(async () => (await show(house(), 'SN-3')).state === 'active', 'it is seen again');
    expect([await statusOf(house(), own), await statusOf(house(), thiefs)]).toEqual(['revoked', 'revoked']);
  });

  test('whose IDevID is out gets another one by a recovery ticket alone', async () => {
    const idevid = await born(house(), 'SN-4');
    const client = await connect(house(), await mustEnroll(house(), idevid));
    const thrownOut = new Promise<void>((resolve) => client.once('close', () => resolve()));
    const said = await house().must('device', 'recover', 'SN-4', '--credential', 'idevid');
    expect(said).toContain('device own/SN-4 is quarantined');
    await thrownOut;
    expect((await enroll(house(), idevid)).status).toBe(403);
    const byTicket = async (...more: readonly string[]) => {
      const ticket = lastLine(await house().must('ticket', 'create', '--serial-number', 'SN-4', ...more));
      const { csr } = await makeCsr(house(), `SN-4-${more.length}`);
      const body = house().write('ticket.json', JSON.stringify({ csr: readFileSync(csr, 'utf8') }));
      const headers = ['-H', `authorization: Bearer ${ticket}`, '-H', 'content-type: application/json'];
      return (await house().curl('/api/v1/enroll', ...headers, '-d', `@${body}`)).status;
    };
    expect(await byTicket()).toBe(403);
    expect(await byTicket('--recovery')).toBe(200);
    expect((await show(house(), 'SN-4')).state).toBe('recovering');
  });

  test('is quarantined and let back by a command each, with --help and --json as every command has', async () => {
    const device = await mustEnroll(house(), await born(house(), 'SN-5'));
    const client = await connect(house(), device);
    const thrownOut = new Promise<void>((resolve) => client.once('close', () => resolve()));
    expect(JSON.parse(await house().must('device', 'quarantine', 'SN-5', '--json')).state).toBe(
      'quarantined',
    );
    await thrownOut;
    expect(await house().must('device', 'list', '--state', 'quarantined')).toContain('SN-5');
    expect(await house().must('device', 'show', 'SN-5')).toMatch(
      /^quarantined since \S+ by \S+: it stays out until somebody says birthmark device release$/m,
    );
    expect(await house().must('device', 'release', 'SN-5')).toContain('2 certificates changed');
    await until(async () => (await publish(house(), device)) === '', 'it is let in again');
    expect(await house().must('device', 'retire', 'SN-5')).toContain('is retired');
    expect((await house().birthmark('device', 'release', 'SN-5')).status).toBe(1);
    expect(await house().must('device', 'quarantine', '--help')).toContain(
      'birthmark device quarantine SN-1',
    );
  });
});
