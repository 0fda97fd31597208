// A real RabbitMQ that asks the gate about every client, and mosquitto's clients.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectMqtt, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { keyUsage } from '../../../src/x509/extensions.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { makeAuthority, makeCertificate, type Traits } from '../../x509/path/make-certificate.ts';
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

const HOUR_MS = 3_600_000;
/** A CA of the test's own, for certificates that no authority of ours would issue. */
const lab = makeAuthority({
  cn: 'lab',
  fields: { notBefore: Date.now() - 2 * HOUR_MS, notAfter: Date.now() + 24 * HOUR_MS },
});

function labDevice(name: string, traits: Traits = {}): IssuedDevice {
  const { fields, ...rest } = traits;
  const times = { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS };
  const party = makeCertificate({ cn: name, issuer: lab, fields: { ...times, ...fields }, ...rest });
  const key = party.key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return {
    certificate: house().write(`${name}.lab.pem`, toPem('CERTIFICATE', party.der)),
    key: house().write(`${name}.lab.key`, key),
    der: party.der.toString('base64'),
    serial: '',
  };
}

let gate: GateProcess;
let broker: Rabbitmq;
let startAway: () => Promise<void>;
let restartGate: (maxStatusAgeSeconds?: number) => Promise<void>;

beforeAll(async () => {
  if (!hasRabbitmq) return;
  const port = await freePort();
  broker = await startRabbitmq(house(), `http://127.0.0.1:${port}`, toPem('CERTIFICATE', lab.der));
  writeSecret(house(), 'rabbitmq.password', broker.password);
  const common = await prepareGate(house());
  const toml = (maxStatusAgeSeconds: number) => `
[http.rabbitmq]
listener = "names"
[guard]
# All clients of these tests come from one address, and a name proves nothing.
exempt = ["127.0.0.1"]
[brokers.rabbitmq]
kind = "rabbitmq"
url = "${broker.url}"
user = "${broker.user}"
passwordFile = "rabbitmq.password"
[listeners.names]
evidence = "name"
maxStatusAgeSeconds = ${maxStatusAgeSeconds}
[[roles]]
name = "device"
publish = ["devices/\${id}/up/#"]
subscribe = ["devices/\${id}/down/+"]
${common}`;
  startAway = async () => {
    gate = await startGate(house(), toml(300), port);
  };
  restartGate = async (maxStatusAgeSeconds = 300) => {
    gate = await startGate(house(), toml(maxStatusAgeSeconds), port);
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

  test('takes nobody of a CA that it does not know, and nobody who has ended', async () => {
    expect(await publish(labDevice('RB-20'), 'RB-20', 'devices/RB-20/up/x')).toBe(0);
    const issuer = makeAuthority({ cn: 'lab' });
    expect(await publish(labDevice('RB-21', { issuer }), 'RB-21', 'devices/RB-21/up/x')).not.toBe(0);
    const expired = labDevice('RB-22', { fields: { notAfter: Date.now() - 2000 } });
    expect(await publish(expired, 'RB-22', 'devices/RB-22/up/x')).not.toBe(0);
    const forServers = labDevice('RB-23', { purposes: ['1.3.6.1.5.5.7.3.1'] });
    expect(await publish(forServers, 'RB-23', 'devices/RB-23/up/x')).not.toBe(0);
  });

  test('shows nothing of a certificate but its name, so that one without a purpose passes: its page says so', async () => {
    const without = labDevice('RB-24', { only: [keyUsage(['digitalSignature'])] });
    expect(await publish(without, 'RB-24', 'devices/RB-24/up/x')).toBe(0);
  });

  test('loses a device whose certificate ends while it is connected', async () => {
    const end = Math.floor(Date.now() / 1000) * 1000 + 40_000;
    const live = await stay(
      labDevice('RB-25', { fields: { notAfter: end } }),
      'RB-25',
      'devices/RB-25/down/+',
    );
    const other = await stay(labDevice('RB-26'), 'RB-26', 'devices/RB-26/down/+');
    await until(() => live.gone(), 'the end of the session', 90_000);
    expect(Date.now()).toBeGreaterThanOrEqual(end);
    live.child.kill();
    expect(other.gone()).toBe(false);
    other.child.kill();
  });

  test('loses a device on hold, and gets it back when it is released', async () => {
    const device = await issueDevice(house(), 'r13', 'RB-13');
    const live = await stay(device, 'RB-13', 'devices/RB-13/down/+');
    await house().must('hold', '--serial', device.serial);
    await until(() => live.gone(), 'the end of the session', 10_000);
    live.child.kill();
    expect(await publish(device, 'RB-13', 'devices/RB-13/up/x')).not.toBe(0);
    await house().must('unhold', '--serial', device.serial);
    await until(async () => (await publish(device, 'RB-13', 'devices/RB-13/up/x')) === 0, 'it back', 10_000);
  });

  test('lets nobody in on a resumed TLS session who was taken back', async () => {
    const device = await issueDevice(house(), 'r14', 'RB-14');
    const ticket = path.join(house().folder, 'ticket');
    const packet = Buffer.from('101100044d51545404020000000552422d3134', 'hex');
    const words = [
      's_client',
      '-connect',
      `127.0.0.1:${broker.mqttPort}`,
      '-tls1_2',
      '-quiet',
      '-no_ign_eof',
    ];
    const connack = async (...more: readonly string[]) => {
      const own = ['-cert', device.certificate, '-key', device.key];
      const script = `(cat; sleep 2) | openssl ${[...words, ...own, ...more].join(' ')} 2>/dev/null`;
      const { out } = await runProgram('sh', ['-c', script], { input: packet });
      return Buffer.from(out).toString('hex');
    };
    expect(await connack('-sess_out', ticket)).toBe('20020000');
    expect(await connack('-sess_in', ticket)).toBe('20020000');
    await house().must('revoke', '--serial', device.serial, '--reason', 'keyCompromise');
    await until(() => gate.log().includes('ended sessions'), 'the word that it is ended');
    expect(await connack('-sess_in', ticket)).not.toBe('20020000');
  });

  test('lets a thousand in that come at once, and nobody under the name of another', async () => {
    const many = Array.from({ length: 1000 }, (_none, at) => {
      const { certificate, key } = labDevice(`RM-${at}`);
      return { at, certificate, key };
    });
    const ca = readFileSync(house().pem('root'));
    const clients: MqttClient[] = [];
    const knock = ({ certificate, key }: (typeof many)[number], clientId: string) =>
      new Promise<number>((resolve) => {
        const client = connectMqtt(`mqtts://127.0.0.1:${broker.mqttPort}`, {
          ...{ clientId, reconnectPeriod: 0, connectTimeout: 120_000 },
          ...{ ca, cert: readFileSync(certificate), key: readFileSync(key) },
        });
        clients.push(client);
        client.once('connect', () => resolve(0));
        client.once('error', (error) => resolve('code' in error ? Number(error.code) : Number.NaN));
        client.once('close', () => resolve(Number.NaN));
      });
    const answers = await Promise.all(
      many.map(async (one) => {
        // Every twentieth comes under another's name.
        if (one.at % 20 === 0) return { own: false, code: await knock(one, `RM-${one.at + 1}-x`) };
        // RabbitMQ's listener does not hold so many at once: as clients do, one that was not answered tries again.
        for (;;) {
          const code = await knock(one, `RM-${one.at}`);
          if (code >= 0 && code < 0x100) return { own: true, code };
          await sleep(1000);
        }
      }),
    );
    for (const client of clients) client.end(true);
    expect(answers.filter(({ own, code }) => own && code !== 0)).toEqual([]);
    expect(answers.filter(({ own, code }) => !own && code === 0)).toEqual([]);
    expect(answers.filter(({ code }) => code === 0)).toHaveLength(950);
  }, 300_000);

  test('lets nobody in whose status is known too long ago', async () => {
    const device = labDevice('RB-27');
    await gate.stop();
    await restartGate(3);
    await until(async () => (await publish(device, 'RB-27', 'devices/RB-27/up/x')) === 0, 'a fresh status');
    await house().kill();
    await until(async () => (await publish(device, 'RB-27', 'devices/RB-27/up/x')) !== 0, 'a stale one');
    await house().restart();
    await until(
      async () => (await publish(device, 'RB-27', 'devices/RB-27/up/x')) === 0,
      'the authority',
      90_000,
    );
    await gate.stop();
    await restartGate();
  });

  test.each<[string, (whole: string) => string]>([
    ['is cut short', (whole) => whole.slice(0, -200)],
    ['was changed', (whole) => whole.replace(/"issuedAt":"2/, '"issuedAt":"3')],
  ])('lets nobody in while all that the gate has is a snapshot that %s', async (_name, change) => {
    const device = labDevice('RB-28');
    const file = path.join(house().folder, 'status.ndjson');
    await gate.stop();
    await house().kill();
    const whole = readFileSync(file, 'utf8');
    writeFileSync(file, change(whole));
    expect(readFileSync(file, 'utf8')).not.toBe(whole);
    await startAway();
    expect(await publish(device, 'RB-28', 'devices/RB-28/up/x')).not.toBe(0);
    expect(gate.log()).toContain('cannot be used');
    await house().restart();
    await until(
      async () => (await publish(device, 'RB-28', 'devices/RB-28/up/x')) === 0,
      'the authority',
      90_000,
    );
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
