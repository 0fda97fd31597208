// The behaviour guard of `serve --broker`, with mosquitto_pub, mosquitto_sub and mqtt.js as devices and as attackers.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { connect as connectMqtt } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { issueDevice } from './broker-auth/gate.ts';
import type { House } from './house.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

interface Device {
  readonly name: string;
  readonly certificate: string;
  readonly key: string;
  readonly serial: string;
}

interface Block {
  readonly who: string;
  readonly rule: string;
  readonly reaction: string;
}

const serve = ['--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0'];

async function device(house: House, name: string): Promise<Device> {
  return { name, ...(await issueDevice(house, name, name)) };
}

const portOf = (house: House) => Number(new URL(JSON.parse(house.read('ready.json')).mqtt).port);

function words(house: House, { name, certificate, key }: Device, ...more: readonly string[]): string[] {
  const tls = ['--cafile', house.pem('root'), '--cert', certificate, '--key', key];
  return ['-h', '127.0.0.1', '-p', String(portOf(house)), ...tls, '-i', name, ...more];
}

/** Publishes to its own topic; gives what mosquitto_pub said, empty where all is well. */
async function publish(house: House, one: Device): Promise<string> {
  const own = words(house, one, '-t', `devices/${one.name}/up`, '-m', 'hello', '-q', '1');
  const { status, err } = await runProgram('mosquitto_pub', own);
  return status === 0 ? '' : err;
}

/** Asks for so many topics of others with one connection. */
async function scan(house: House, one: Device, topics: number): Promise<void> {
  const asked = Array.from({ length: topics }, (_, n) => ['-t', `devices/SN-${n}/up`]).flat();
  await runProgram('mosquitto_sub', words(house, one, ...asked, '-W', '2'));
}

/** Without a certificate, by the victim's ClientId. Gives the code of the CONNACK. */
function attack(house: House, clientId: string, localAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { clientId, ca: readFileSync(house.pem('root')), reconnectPeriod: 0, localAddress };
    const client = connectMqtt(`mqtts://127.0.0.1:${portOf(house)}`, options);
    client.on('connect', () => reject(new Error('the attacker is in')));
    client.on('error', (error) => {
      client.end(true);
      if ('code' in error && typeof error.code === 'number') resolve(error.code);
      else reject(error);
    });
  });
}

async function attackOften(house: House, clientId: string, from: string): Promise<void> {
  for (let n = 0; n < 25; n += 1) expect(await attack(house, clientId, from)).toBe(5);
}

/** mqtt.js from an address of our choice; resolves where it is let in. */
async function connectFrom(
  house: House,
  { name, certificate, key }: Device,
  localAddress: string,
): Promise<void> {
  const client = connectMqtt(`mqtts://127.0.0.1:${portOf(house)}`, {
    clientId: name,
    ca: readFileSync(house.pem('root')),
    cert: readFileSync(certificate),
    key: readFileSync(key),
    reconnectPeriod: 0,
    ...{ localAddress },
  });
  await new Promise<void>((resolve, reject) => {
    client.on('connect', () => resolve());
    client.on('error', reject);
  });
  await client.endAsync();
}

async function blocksOf(house: House): Promise<readonly Block[]> {
  return JSON.parse(await house.must('broker-auth', 'blocks', 'list', '--json')).items;
}

async function until(isSo: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let waited = 0; !(await isSo()); waited += 100) {
    if (waited > 20_000) throw new Error(`it did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe('the behaviour guard of a house, by its defaults', () => {
  const house = useHouse({
    serve,
    configure: (toml) => toml.replace('exempt = []', 'exempt = ["127.0.0.3", "device:own/GW-*"]'),
  });
  const lift = (who: string) => house().birthmark('broker-auth', 'blocks', 'lift', who);

  test('keeps out a device that scans topics, says so, and lets it in again when a person says so', async () => {
    const scanner = await device(house(), 'SN-SCAN');
    const other = await device(house(), 'SN-OTHER');
    await scan(house(), scanner, 20);
    expect(await publish(house(), scanner)).toBe('');
    await scan(house(), scanner, 21);
    expect(await publish(house(), scanner)).toContain('not authorised');
    expect(await publish(house(), other)).toBe('');
    expect(await blocksOf(house())).toMatchObject([
      { gate: 'broker', who: 'device:own/SN-SCAN', rule: 'scanning', reaction: 'block', count: 21 },
    ]);
    expect(await house().must('broker-auth', 'blocks', 'list')).toContain('device:own/SN-SCAN  block since');

    const asked = ['broker-auth', 'explain', '--cert', scanner.certificate, '--client-id', scanner.name];
    const refused = await house().birthmark(...asked);
    expect([refused.status, refused.out]).toEqual([1, expect.stringContaining('refused  guard: broker')]);
    expect((await lift('device:own/SN-OTHER')).status).toBe(1);
    expect(await lift('device:own/SN-SCAN')).toMatchObject({ status: 0 });
    expect((await lift('device:own/SN-SCAN')).err).toContain('nothing restrains');
    expect(await house().must(...asked)).toContain('the behaviour guard does not restrain it');
    expect(await publish(house(), scanner)).toBe('');
    expect(await house().must('audit', 'show')).toContain('gate.lift-block');
  });

  test('blocks the address of who has no certificate, and never the victim whose ClientId it uses', async () => {
    const victim = await device(house(), 'SN-VICTIM');
    await attackOften(house(), 'SN-VICTIM', '127.0.0.2');
    const blocks = await blocksOf(house());
    expect(blocks.map(({ who, rule }) => [who, rule])).toEqual([['address:127.0.0.2', 'guessing']]);
    expect(await publish(house(), victim)).toBe('');
    // Behind the same address as the attacker, too: it proves who it is.
    await connectFrom(house(), victim, '127.0.0.2');
  });

  test('leaves gateways alone that are exempt, by address and by name', async () => {
    const gateway = await device(house(), 'GW-1');
    await attackOften(house(), 'GW-1', '127.0.0.3');
    await scan(house(), gateway, 30);
    expect(await publish(house(), gateway)).toBe('');
    const blocked = (await blocksOf(house())).map(({ who }) => who);
    expect(blocked).not.toContain('address:127.0.0.3');
    expect(blocked).not.toContain('device:own/GW-1');
    const scanner = await device(house(), 'SN-GW');
    await scan(house(), scanner, 30);
    expect(await publish(house(), scanner)).toContain('not authorised');
  });

  test('remembers over a power cut whom it keeps out', async () => {
    const scanner = await device(house(), 'SN-CUT');
    await scan(house(), scanner, 25);
    const file = path.join(house().home, 'broker.blocks.json');
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('SN-CUT'), 'the list on disk');
    await house().kill();
    await house().restart();
    expect(await publish(house(), scanner)).toContain('not authorised');
    expect((await lift('device:own/SN-CUT')).status).toBe(0);
    expect(await publish(house(), scanner)).toBe('');
  });
});

describe('a guard that quarantines', () => {
  const house = useHouse({
    serve,
    configure: (toml) =>
      `${toml.replace('moreThan = 20', 'moreThan = 2')}
[[broker.guard.rules]]
name = "scanning"
behaviour = "topicDenied"
moreThan = 3
withinSeconds = 60
reaction = "quarantine"
`,
  });

  test('has the device put on hold, until a person releases it', async () => {
    const scanner = await device(house(), 'SN-Q1');
    await scan(house(), scanner, 4);
    const shown = () => house().must('certificate', 'show', scanner.serial, '--json');
    await until(async () => JSON.parse(await shown()).status === 'held', 'the hold');
    expect(await publish(house(), scanner)).toContain('not authorised');
    expect(await house().must('audit', 'show')).toContain('device.quarantineByGate');
    await until(async () => (await blocksOf(house())).length === 0, 'the hold in the place of the block');
    await house().must('device', 'release', 'SN-Q1');
    await until(async () => (await publish(house(), scanner)) === '', 'the release');
  });

  test('takes it for an outage when a fleet does so, and restrains no more of it', async () => {
    const fleet = await Promise.all(['SN-Q2', 'SN-Q3', 'SN-Q4'].map((name) => device(house(), name)));
    for (const one of fleet) await scan(house(), one, 4);
    const last = fleet.at(-1);
    if (!last) throw new Error('there is no fleet');
    expect(await publish(house(), last)).toBe('');
    expect(house().log()).toContain('it looks like an outage');
    const { brokerAuth } = JSON.parse(house().read('ready.json'));
    const metrics = await (await fetch(`${brokerAuth}/metrics`)).text();
    expect(metrics).toMatch(
      /birthmark_gate_guard_reactions_total\{rule="scanning",reaction="held",gate="broker"\} [1-9]/,
    );
    expect(metrics).toMatch(/birthmark_gate_blocks\{reaction="quarantine",gate="broker"\} \d/);
    expect(metrics).toContain('birthmark_gate_status_age_seconds{gate="brokerAuth"}');
  });
});
