// The gate alone, beside a broker: what it does when the authority is away, and when it comes back.
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { opensslCsr } from '../csr-makers.ts';
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

const house = useHouse();
const SECRET = 'k'.repeat(40);

let gate: GateProcess | undefined;
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(gate?.log());
  await gate?.stop();
  gate = undefined;
});

const rules = (maxStatusAgeSeconds: number) => `
[http.emqx]
listener = "devices"
secretFile = "emqx.secret"
withoutKicks = true
[listeners.devices]
maxStatusAgeSeconds = ${maxStatusAgeSeconds}
[[roles]]
name = "device"
publish = ["devices/\${id}/#"]
`;

async function start(maxStatusAgeSeconds = 300): Promise<GateProcess> {
  writeSecret(house(), 'emqx.secret', SECRET);
  gate = await startGate(house(), rules(maxStatusAgeSeconds) + (await prepareGateOnce()));
  return gate;
}

let prepared: Promise<string> | undefined;
function prepareGateOnce(): Promise<string> {
  prepared ??= prepareGate(house());
  return prepared;
}

async function connect(
  to: GateProcess,
  { der }: IssuedDevice,
  clientid: string,
  secret = SECRET,
): Promise<string> {
  const body = { clientid, username: '', peerhost: '192.0.2.7', peerport: 40_000, cert: der };
  const [status, text] = await to.ask('/emqx/authn', body, { authorization: `Bearer ${secret}` });
  expect(status).toBe(200);
  const { result } = JSON.parse(text) as { readonly result: string };
  return result;
}

const isReady = (of: GateProcess) => async () => (await of.get('/readyz'))[0] === 200;

describe('a gate beside a broker', () => {
  test('lets in who is good, and nobody without the secret', async () => {
    const device = await issueDevice(house(), 'good', 'SN-GOOD');
    const gate = await start();
    await until(isReady(gate), 'ready');
    expect(await connect(gate, device, 'SN-GOOD')).toBe('allow');
    expect(await connect(gate, device, 'SN-OTHER')).toBe('deny');
    expect(await connect(gate, device, 'SN-GOOD', 'wrong')).toBe('deny');
    const [, metrics] = await gate.get('/metrics');
    expect(metrics).toContain('birthmark_gate_verdicts_total{listener="devices",reason="clientId"} 1');
    expect(gate.log()).not.toContain(SECRET);
  });

  test('denies at once whom the authority took back', async () => {
    const device = await issueDevice(house(), 'stolen', 'SN-STOLEN');
    const gate = await start();
    await until(isReady(gate), 'ready');
    expect(await connect(gate, device, 'SN-STOLEN')).toBe('allow');
    await house().must('revoke', '--serial', device.serial, '--reason', 'keyCompromise');
    await until(async () => (await connect(gate, device, 'SN-STOLEN')) === 'deny', 'the denial', 2000);
    const shown = () => house().must('certificate', 'show', device.serial, '--json');
    await until(async () => (await shown()).includes('enforcedAt'), 'the word that it is enforced');
    const acts = await house().must('audit', 'show', '--json');
    expect(acts).toContain('certificate.seen');
  });

  test('starts from its disk while the authority is away, remembering what it heard last', async () => {
    const [good, bad] = [
      await issueDevice(house(), 'away-good', 'SN-AWAY-1'),
      await issueDevice(house(), 'away-bad', 'SN-AWAY-2'),
    ];
    let near = await start();
    await until(isReady(near), 'ready');
    // After the snapshot: only the notes beside it have this.
    await house().must('revoke', '--serial', bad.serial, '--reason', 'superseded');
    await until(async () => (await connect(near, bad, 'SN-AWAY-2')) === 'deny', 'the denial');
    await house().kill();
    expect(await near.stop()).toBe(0);
    near = await start();
    expect(await connect(near, good, 'SN-AWAY-1')).toBe('allow');
    expect(await connect(near, bad, 'SN-AWAY-2')).toBe('deny');
    await near.stop();

    near = await start(1);
    await until(
      async () => (await connect(near, good, 'SN-AWAY-1')) === 'deny',
      'what is known to be too old',
    );
    const [status, text] = await near.get('/readyz');
    expect(status).toBe(503);
    expect(text).toContain('too old');
    await house().restart();
    // One second is also the pause of a feed: now and then it is just too old.
    await until(async () => (await connect(near, good, 'SN-AWAY-1')) === 'allow', 'the authority', 60_000);
    expect(await connect(near, bad, 'SN-AWAY-2')).toBe('deny');
  });

  test('denies all while nothing is known', async () => {
    const device = await issueDevice(house(), 'early', 'SN-EARLY');
    writeSecret(house(), 'emqx.secret', SECRET);
    const common = (await prepareGateOnce())
      .replace(/url = .*/, 'url = "https://127.0.0.1:1"')
      .replace('status.ndjson', 'nothing.ndjson');
    gate = await startGate(house(), rules(300) + common);
    expect(await connect(gate, device, 'SN-EARLY')).toBe('deny');
    expect((await gate.get('/readyz'))[0]).toBe(503);
    expect((await gate.get('/healthz'))[0]).toBe(200);
  });
});

test('over HTTPS answers who shows a certificate for brokers, and nobody else', async () => {
  const { folder, program, write, pem } = house();
  const issue = async (name: string, ...words: readonly string[]) => {
    const csr = write(`${name}.csr`, await opensslCsr(folder, name, 'P-256', name));
    await house().must('issue', ...words, '--csr', csr, '--out', path.join(folder, `${name}.pem`), '--chain');
  };
  await issue('gate-server', '--profile', 'server', '--ip', '127.0.0.1');
  await issue('a-broker', '--profile', 'operator', '--name', 'a-broker', '--role', 'auditor');
  await issueDevice(house(), 'a-device', 'SN-TLS');
  const brokersCa = write('brokers-ca.pem', house().read(pem('service')));
  const fingerprint = (
    await program('openssl', 'x509', '-in', 'a-broker.pem', '-noout', '-fingerprint', '-sha256')
  )
    .trim()
    .replace(/.*=/, '');
  const tls = `certificateFile = "gate-server.pem"\nkeyFile = "gate-server.key"\nclientCaFile = "${brokersCa}"
clientSha256 = ["${fingerprint}"]`;
  writeSecret(house(), 'emqx.secret', SECRET);
  gate = await startGate(house(), `${rules(300)}${await prepareGateOnce()}`, 0, tls);
  const ask = (name: string) =>
    runProgram(
      'curl',
      [
        '-sS',
        '--noproxy',
        '*',
        '--cacert',
        pem('root'),
        '--cert',
        `${name}.pem`,
        '--key',
        `${name}.key`,
        `${gate?.url}/healthz`,
      ],
      {
        cwd: folder,
      },
    );
  expect(await ask('a-broker')).toEqual({ status: 0, out: '{"status":"ok"}', err: '' });
  expect((await ask('a-device')).out).toBe('');
  // Of the same CA, and none of the list.
  expect((await ask('gate-server')).out).toBe('');
});

describe('a gate does not start', () => {
  test.each([
    ['on an address that others reach, in the clear', ['127.0.0.1"', '0.0.0.0"'], 'listen.host'],
    ['with a key that it does not know', ['[http.emqx]', '[http.emqx]\nlisener = "x"'], 'lisener'],
    [
      'with a listener that the policy has not',
      ['listener = "devices"', 'listener = "other"'],
      'no listener other',
    ],
    ['with a secret that others may read', ['emqx.secret', 'gate.toml'], 'key-file-permissions'],
  ] as const)('%s', async (_name, [from, to], telling) => {
    writeSecret(house(), 'emqx.secret', SECRET);
    const toml = `${rules(300)}${await prepareGateOnce()}\n[listen]\nhost = "127.0.0.1"\nport = 0\n`;
    const config = house().write('gate.toml', toml.replace(from, to));
    const { status, err } = await house().birthmark('broker-auth', 'serve', '--config', config);
    expect(status).toBe(1);
    expect(err).toContain(telling);
  });
});

// Last, since the others' devices are of the authorities before.
test('learns of an authority that comes while it runs, under a new root too, without a word to it', async () => {
  const old = await issueDevice(house(), 'of-old', 'SN-OLD');
  const gate = await start();
  await until(isReady(gate), 'ready');
  await house().must('authority', 'rotate', 'ldevid', '--activate', 'now');
  const next = await issueDevice(house(), 'of-next', 'SN-NEXT');
  await until(async () => (await connect(gate, next, 'SN-NEXT')) === 'allow', 'its devices', 3000);
  expect(await connect(gate, old, 'SN-OLD')).toBe('allow');
  for (const words of [['root'], ['ldevid', '--from', 'ldevid-2']])
    await house().must('authority', 'rotate', ...words, '--activate', 'now');
  const last = await issueDevice(house(), 'of-last', 'SN-LAST');
  await until(async () => (await connect(gate, last, 'SN-LAST')) === 'allow', 'the new root’s', 3000);
  await house().must('revoke', '--serial', next.serial, '--reason', 'superseded');
  await until(async () => (await connect(gate, next, 'SN-NEXT')) === 'deny', 'the denial', 2000);
  expect(await connect(gate, old, 'SN-OLD')).toBe('allow');
});
