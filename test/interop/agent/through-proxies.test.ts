import { chmodSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MqttClient } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { brokerStream, disk, openAgent, parseProxy, usableCredentials } from '../../../src/agent/index.ts';
import { lastLine } from '../house.ts';
import { hasProgram } from '../run-program.ts';
import { useHouse } from '../use-house.ts';
import { HIDDEN_NAME, hasNamespaces, startDante, startTinyproxy } from './proxies.ts';

const house = useHouse({
  init: ['--tls-name', HIDDEN_NAME, '--tls-name', 'localhost'],
  serve: ['--broker', '--mqtt-port', '0'],
});
const isPossible = hasNamespaces() && hasProgram('/usr/sbin/danted') && hasProgram('/usr/bin/tinyproxy');
const LOGIN = { user: 'bm-device', password: 'p4ss, with: colon' };
let devices = 0;
const brokerPort = () => new URL((JSON.parse(house().read('ready.json')) as { mqtt: string }).mqtt).port;

/** Enrolls over the hidden name. */
async function enroll(proxy: string, password?: string) {
  devices += 1;
  const serialNumber = `PX-${devices}`;
  const ticket = lastLine(await house().must('ticket', 'create', '--serial-number', serialNumber));
  chmodSync(house().write('ticket', `${ticket}\n`), 0o600);
  if (password !== undefined) chmodSync(house().write('password', `${password}\n`), 0o600);
  const url = `https://${HIDDEN_NAME}:${new URL(house().tlsUrl).port}`;
  const state = `agent-${devices}`;
  const done = await house().birthmark(
    ...['agent', 'enroll', '--state', state, '--url', url, '--ca', house().pem('root')],
    ...['--serial-number', serialNumber, '--ticket-file', 'ticket', '--proxy', proxy],
    ...(password === undefined ? [] : ['--proxy-password-file', 'password']),
  );
  return { ...done, state, serialNumber };
}

describe.skipIf(!isPossible)('a device behind', () => {
  test('a SOCKS proxy enrolls anonymously, by a name that only the proxy knows', async () => {
    const dante = await startDante('none');
    const done = await enroll(`socks5h://127.0.0.1:${dante.port}`);
    expect(done).toMatchObject({ status: 0 });
    expect(dante.log()).toContain('tcp/connect');
  });

  test('no proxy does not find that name', async () => {
    const url = `https://${HIDDEN_NAME}:${new URL(house().tlsUrl).port}`;
    const words = [
      '--url',
      url,
      '--ca',
      house().pem('root'),
      '--serial-number',
      'X',
      '--ticket-file',
      'ticket',
    ];
    const done = await house().birthmark('agent', 'enroll', '--state', 'none', ...words);
    expect(done).toMatchObject({
      status: 1,
      err: expect.stringMatching(/cannot be reached: .*(ENOTFOUND|EAI_AGAIN)/),
    });
  });

  test('a SOCKS proxy that wants a password enrolls with it, and tells it to nobody', async () => {
    const dante = await startDante(LOGIN);
    const done = await enroll(`socks5h://${LOGIN.user}@127.0.0.1:${dante.port}`, LOGIN.password);
    expect(done).toMatchObject({ status: 0 });
    const kept = readFileSync(path.join(house().folder, done.state, 'agent.json'), 'utf8');
    for (const text of [done.out, done.err, kept, dante.log()]) expect(text).not.toContain(LOGIN.password);
  });

  test.each([
    ['with another password', LOGIN.user, 'wrong'],
    ['without one', undefined, undefined],
  ])('a SOCKS proxy that wants a password is refused %s', async (_how, user, password) => {
    const dante = await startDante(LOGIN);
    const done = await enroll(
      `socks5h://${user === undefined ? '' : `${user}@`}127.0.0.1:${dante.port}`,
      password,
    );
    expect(done).toMatchObject({ status: 1, err: expect.stringContaining('the SOCKS proxy') });
  });

  test('an HTTP proxy enrolls through its tunnel, anonymously and with a password', async () => {
    const open = await startTinyproxy();
    expect(await enroll(`http://127.0.0.1:${open.port}`)).toMatchObject({ status: 0 });
    const guarded = await startTinyproxy({ user: 'dev', password: 'secret7' });
    expect(await enroll(`http://dev@127.0.0.1:${guarded.port}`, 'secret7')).toMatchObject({ status: 0 });
    for (const wrong of [
      await enroll(`http://dev@127.0.0.1:${guarded.port}`, 'wrong'),
      await enroll(`http://127.0.0.1:${guarded.port}`),
    ])
      expect(wrong).toMatchObject({ status: 1, err: expect.stringContaining('the HTTP proxy') });
  });

  test('a SOCKS proxy reaches the broker with MQTT.js over the stream that the library gives', async () => {
    const dante = await startDante('none');
    const proxy = `socks5h://127.0.0.1:${dante.port}`;
    const { state, serialNumber } = await enroll(proxy);
    const folder = path.join(house().folder, state);
    const agent = await openAgent({
      ...{ folder, disk, clock: Date.now, elapsed: Date.now, environment: {}, tell: () => undefined },
      settings: { url: house().tlsUrl, keyType: 'ec-p256' },
      random: (size) => new Uint8Array(size),
    });
    const [credential] = usableCredentials(agent);
    if (!credential) throw new Error('it is enrolled');
    const options = (through: string) => ({
      ...{ credential, at: Date.now(), timeoutMs: 10_000, proxy: parseProxy(through) },
      url: `mqtts://${HIDDEN_NAME}:${brokerPort()}`,
      anchors: agent.state.readCertificates('trust.pem'),
    });
    const client = new MqttClient(() => brokerStream(options(proxy)), {
      clientId: serialNumber,
      protocolVersion: 4,
    });
    await new Promise((resolve, reject) => {
      client.once('connect', resolve);
      client.once('error', reject);
    });
    await client.publishAsync(`devices/${serialNumber}/state`, 'on', { qos: 1 });
    await client.endAsync();
    expect(dante.log()).toContain('tcp/connect');
    const other = await startDante(LOGIN);
    const refused = brokerStream(options(`socks5h://127.0.0.1:${other.port}`));
    expect(await new Promise((resolve) => refused.once('error', resolve))).toMatchObject({
      code: 'proxy-failed',
    });
  });
});
