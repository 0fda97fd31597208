// A real RabbitMQ that asks the gate about every client, and mosquitto's clients.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../free-port.ts';
import { runProgram } from '../run-program.ts';
import { useHouse } from '../use-house.ts';
import {
  type GateProcess,
  type IssuedDevice,
  issueDevice,
  prepareGate,
  startGate,
  until,
  writeSecret,
} from './gate.ts';
import { hasRabbitmq, type Rabbitmq, startRabbitmq } from './rabbitmq.ts';

const house = useHouse({
  // RabbitMQ takes its user's name from the common name.
  configure: (toml) => {
    const [before = '', after = ''] = toml.split('[profiles.ldevid]');
    return `${before}[profiles.ldevid]${after.replace('commonName = "none"', 'commonName = "holder"')}`;
  },
});

let gate: GateProcess;
let broker: Rabbitmq;
let restartGate: () => Promise<void>;

beforeAll(async () => {
  if (!hasRabbitmq) return;
  const port = await freePort();
  broker = await startRabbitmq(house(), `http://127.0.0.1:${port}`);
  writeSecret(house(), 'rabbitmq.password', broker.password);
  const toml = `
[http.rabbitmq]
listener = "names"
[brokers.rabbitmq]
kind = "rabbitmq"
url = "${broker.url}"
user = "${broker.user}"
passwordFile = "rabbitmq.password"
[listeners.names]
evidence = "name"
[[roles]]
name = "device"
publish = ["devices/\${id}/up/#"]
subscribe = ["devices/\${id}/down/+"]
${await prepareGate(house())}`;
  restartGate = async () => {
    gate = await startGate(house(), toml, port);
    await until(async () => (await gate.get('/readyz'))[0] === 200, 'a gate that is ready');
  };
  await restartGate();
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail')
    console.log(`the gate wrote:\n${gate.log()}\nRabbitMQ wrote:\n${broker.log().slice(-6000)}`);
});
afterAll(async () => {
  for (const client of clients) client.kill('SIGKILL');
  await gate?.stop();
  await broker?.stop();
});

const clients = new Set<ChildProcess>();

function wordsOf(device: IssuedDevice, clientId: string): readonly string[] {
  const tls = ['--cafile', house().pem('root'), '--cert', device.certificate, '--key', device.key];
  return ['-h', '127.0.0.1', '-p', String(broker.mqttPort), ...tls, '-i', clientId];
}

/** Publishes one message; 0 where it was taken. */
async function publish(device: IssuedDevice, clientId: string, topic: string, ...more: readonly string[]) {
  const words = [...wordsOf(device, clientId), '-q', '1', '-t', topic, '-m', 'x', ...more];
  const { status } = await runProgram('timeout', ['5', 'mosquitto_pub', ...words]);
  return status;
}

interface Live {
  readonly child: ChildProcess;
  /** The broker has ended it. */
  readonly gone: () => boolean;
  readonly heard: () => string;
}

/** A client that stays, and does not come back by itself. */
async function stay(device: IssuedDevice, clientId: string, topic: string): Promise<Live> {
  let heard = '';
  let gone = false;
  const words = [...wordsOf(device, clientId), '-q', '1', '-t', topic, '-d'];
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  clients.add(child);
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      heard += part.toString();
      // mosquitto_sub comes back by itself: the first end is what counts.
      if (/disconnect|Connection (?:lost|error)|lost/i.test(part.toString())) gone = true;
    });
  child.on('exit', () => {
    gone = true;
  });
  await until(() => heard.includes('SUBACK') || gone, `a SUBACK for ${clientId}`);
  return { child, gone: () => gone, heard: () => heard };
}

describe.runIf(hasRabbitmq)('RabbitMQ behind the gate', () => {
  test('lets a device in, to its own topics', async () => {
    const device = await issueDevice(house(), 'r1', 'RB-1');
    const live = await stay(device, 'RB-1', 'devices/RB-1/down/+');
    expect(live.heard()).toContain('SUBACK');
    live.child.kill();
    expect(await publish(device, 'RB-1', 'devices/RB-1/up/temperature')).toBe(0);
    expect(await publish(device, 'RB-1', 'devices/RB-2/up/temperature')).not.toBe(0);
  });

  test('refuses another ClientId, also one that somebody has', async () => {
    const [own, other] = [await issueDevice(house(), 'r3', 'RB-3'), await issueDevice(house(), 'r4', 'RB-4')];
    const live = await stay(own, 'RB-3', 'devices/RB-3/down/+');
    expect(await publish(other, 'RB-3', 'devices/RB-3/up/x')).not.toBe(0);
    expect(await publish(other, 'elsewhere', 'devices/RB-4/up/x')).not.toBe(0);
    expect(live.gone()).toBe(false);
    live.child.kill();
  });

  test('refuses a password beside a certificate', async () => {
    const device = await issueDevice(house(), 'r5', 'RB-5');
    expect(await publish(device, 'RB-5', 'devices/RB-5/up/x')).toBe(0);
    expect(await publish(device, 'RB-5', 'devices/RB-5/up/x', '-u', 'RB-5', '-P', 'x')).not.toBe(0);
    // The certificate is not looked at then: it is another device's.
    expect(await publish(device, 'RB-6', 'devices/RB-6/up/x', '-u', 'RB-6', '-P', 'x')).not.toBe(0);
  });

  test('loses a device that is taken back, and gets it back with another certificate', async () => {
    const device = await issueDevice(house(), 'r7', 'RB-7');
    const bystander = await issueDevice(house(), 'r8', 'RB-8');
    const live = await stay(device, 'RB-7', 'devices/RB-7/down/+');
    const other = await stay(bystander, 'RB-8', 'devices/RB-8/down/+');
    await house().must('revoke', '--serial', device.serial, '--reason', 'superseded');
    await until(() => live.gone(), 'the end of the session', 5000);
    live.child.kill();
    await until(
      async () => !(await broker.clients()).includes('RB-7'),
      'that RabbitMQ has it no more',
      20_000,
    );
    expect(await publish(device, 'RB-7', 'devices/RB-7/up/x')).not.toBe(0);
    expect(other.gone()).toBe(false);
    other.child.kill();
    await until(() => gate.log().includes('ended sessions'), 'the word that it is ended');

    const renewed = await issueDevice(house(), 'r7-new', 'RB-7');
    // It was told that there is no other: a snapshot says it is there, once a minute.
    await until(
      async () => (await publish(renewed, 'RB-7', 'devices/RB-7/up/x')) === 0,
      'the renewed device',
      90_000,
    );
  });

  test('leaves a device alone whose old certificate is superseded, connected with the new one', async () => {
    const old = await issueDevice(house(), 'r10', 'RB-10');
    const before = await stay(old, 'RB-10', 'devices/RB-10/down/+');
    const renewed = await issueDevice(house(), 'r10-new', 'RB-10');
    const live = await stay(renewed, 'RB-10', 'devices/RB-10/down/+');
    before.child.kill();
    await house().must('revoke', '--serial', old.serial, '--reason', 'superseded');
    // RabbitMQ shows no certificates: that the authority's word came shows elsewhere.
    const shown = () => house().must('certificate', 'show', old.serial, '--json');
    await until(async () => (await shown()).includes('enforcedAt'), 'the word that it is enforced');
    await sleep(1000);
    expect(live.gone()).toBe(false);
    live.child.kill();
    expect(await publish(renewed, 'RB-10', 'devices/RB-10/up/x')).toBe(0);
  });

  test('loses a device that was taken back while the gate was dead, as soon as there is one again', async () => {
    const device = await issueDevice(house(), 'r11', 'RB-11');
    const bystander = await issueDevice(house(), 'r12', 'RB-12');
    const live = await stay(device, 'RB-11', 'devices/RB-11/down/+');
    const other = await stay(bystander, 'RB-12', 'devices/RB-12/down/+');
    await gate.kill();
    await house().must('revoke', '--serial', device.serial, '--reason', 'keyCompromise');
    await sleep(500);
    expect(live.gone()).toBe(false);
    await restartGate();
    await until(() => live.gone(), 'the end of the session', 10_000);
    live.child.kill();
    expect(await publish(device, 'RB-11', 'devices/RB-11/up/x')).not.toBe(0);
    expect(other.gone()).toBe(false);
    // Just after it came back, too.
    await house().must('revoke', '--serial', bystander.serial, '--reason', 'cessationOfOperation');
    await until(() => other.gone(), 'the end of the other session', 10_000);
    other.child.kill();
  });

  test('keeps everybody out while the gate is down', async () => {
    const device = await issueDevice(house(), 'r9', 'RB-9');
    expect(await publish(device, 'RB-9', 'devices/RB-9/up/x')).toBe(0);
    await gate.stop();
    expect(await publish(device, 'RB-9', 'devices/RB-9/up/x')).not.toBe(0);
    await restartGate();
    await sleep(100);
    expect(await publish(device, 'RB-9', 'devices/RB-9/up/x')).toBe(0);
  });
});
