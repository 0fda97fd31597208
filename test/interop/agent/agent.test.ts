import { spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { disk, openAgent, type ProbeVerdict, usableCredentials } from '../../../src/agent/index.ts';
import { lastLine } from '../house.ts';
import { until } from '../mosquitto/until.ts';
import { hasProgram, runProgram } from '../run-program.ts';
import { useHouse } from '../use-house.ts';

const COMMAND = fileURLToPath(new URL('../../../bin/birthmark.mjs', import.meta.url));
/** What is used after its successor was seen is held against a device at once here. */
const house = useHouse({
  configure: (toml) => toml.replace('toleranceSeconds = 300', 'toleranceSeconds = 0'),
});
const at = (name: string) => path.join(house().folder, name);
let fingerprint = '';

beforeAll(() => {
  fingerprint = new X509Certificate(readFileSync(house().pem('root'))).fingerprint256;
});

async function ticketWords(serialNumber: string): Promise<string[]> {
  const ticket = lastLine(await house().must('ticket', 'create', '--serial-number', serialNumber));
  spawnSync('chmod', ['600', house().write(`${serialNumber}.ticket`, `${ticket}\n`)]);
  return ['--serial-number', serialNumber, '--ticket-file', `${serialNumber}.ticket`];
}

async function idevidWords(serialNumber: string): Promise<string[]> {
  const files = ['-keyout', `${serialNumber}.key`, '-out', `${serialNumber}.csr`];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await house().program('openssl', 'req', '-new', ...key, ...files, '-subj', '/');
  const words = [
    '--csr',
    `${serialNumber}.csr`,
    '--out',
    `${serialNumber}.pem`,
    '--chain',
    '--profile',
    'idevid',
  ];
  await house().must('issue', ...words, '--serial-number', serialNumber);
  return ['--idevid-cert', `${serialNumber}.pem`, '--idevid-key', `${serialNumber}.key`];
}

const enroll = (state: string, ...words: readonly string[]) =>
  house().birthmark('agent', 'enroll', '--state', state, '--url', house().tlsUrl, ...words);
const status = async (state: string) =>
  JSON.parse(await house().must('agent', 'status', '--state', state, '--json')) as Record<string, string>;

describe('birthmark agent', () => {
  test('enrolls by an IDevID and a fingerprint; OpenSSL finds the chain good and the key its pair', async () => {
    const words = ['--ca-fingerprint', fingerprint, ...(await idevidWords('AG-1'))];
    expect(await enroll('one', ...words)).toMatchObject({ status: 0 });
    const chain = ['-CAfile', 'one/trust.pem', '-untrusted', 'one/current/certificate.pem'];
    const verify = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslclient',
      ...chain,
      'one/current/certificate.pem',
    ];
    expect(await house().program('openssl', ...verify)).toContain(': OK');
    const [pub, key] = await Promise.all([
      house().program('openssl', 'x509', '-in', 'one/current/certificate.pem', '-noout', '-pubkey'),
      house().program('openssl', 'pkey', '-in', 'one/current/key.pem', '-pubout'),
    ]);
    expect(pub).toBe(key);
    expect(await enroll('one', ...words)).toMatchObject({
      status: 0,
      out: expect.stringContaining('there is a credential already'),
    });
  });

  test('trusts no server whose root has another fingerprint, and none that stands under another root', async () => {
    const ticket = await ticketWords('AG-2');
    const other = fingerprint.replace(/^../, fingerprint.startsWith('00') ? '11' : '00');
    expect(await enroll('two', '--ca-fingerprint', other, ...ticket)).toMatchObject({
      status: 1,
      err: expect.stringContaining('[server-untrusted]'),
    });
    expect(await enroll('two', '--ca', house().pem('idevid'), ...ticket)).toMatchObject({
      status: 1,
      err: expect.stringContaining('[server-untrusted]'),
    });
    expect(await enroll('two', ...ticket)).toMatchObject({ status: 1 });
    expect(existsSync(at('two/current'))).toBe(false);
    expect(await enroll('two', '--ca', house().pem('root'), ...ticket)).toMatchObject({ status: 0 });
  });

  test('holds the server to the name in its URL (RFC 9525)', async () => {
    const url = `https://127.0.0.2:${new URL(house().tlsUrl).port}`;
    const words = [
      '--state',
      'named',
      '--url',
      url,
      '--ca',
      house().pem('root'),
      ...(await ticketWords('AG-3')),
    ];
    const done = await house().birthmark('agent', 'enroll', ...words);
    expect(done).toMatchObject({ status: 1 });
    expect(done.err).toMatch(/cannot be reached|does not name/);
  });

  test('is one at a time on a state folder, and says where there is none', async () => {
    const start = () =>
      spawn(process.execPath, [COMMAND, 'agent', 'run', '--state', 'one'], {
        cwd: house().folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    let run = start();
    try {
      let busy = await house().birthmark('agent', 'renew', '--state', 'one');
      for (let tries = 0; tries < 20 && busy.status === 0; tries += 1) {
        // It began while that one was there: then it is the one that went.
        if (run.exitCode !== null) run = start();
        busy = await house().birthmark('agent', 'renew', '--state', 'one');
      }
      expect(busy).toMatchObject({ status: 1, err: expect.stringContaining('[home-in-use]') });
      const before = (await status('one')).serial;
      run.kill('SIGHUP');
      for (let tries = 0; tries < 50 && (await status('one')).serial === before; tries += 1);
      expect((await status('one')).serial).not.toBe(before);
    } finally {
      const gone = run.exitCode ?? new Promise((resolve) => run.once('exit', resolve).kill('SIGTERM'));
      expect(await gone).toBe(0);
    }
    expect(await house().birthmark('agent', 'renew', '--state', 'nowhere')).toMatchObject({
      status: 1,
      err: expect.stringContaining('[not-enrolled]'),
    });
  });

  test('asks at once whether it is called for where somebody says so, by a command and by a signal', async () => {
    /** As if a while had passed: what just came is not renewed at once, whoever calls. */
    const age = () => {
      const pace = JSON.parse(house().read('two/pace.json')) as { renewedAt: number };
      house().write('two/pace.json', JSON.stringify({ ...pace, renewedAt: pace.renewedAt - 3_600_000 }));
    };
    const renew = (...words: readonly string[]) => house().must('agent', 'renew', '--state', 'two', ...words);
    age();
    expect(await renew()).toContain('not due');
    await house().must('device', 'call-renewal', 'AG-2');
    expect(await renew()).toContain('not due');
    expect(await renew('--look')).toContain('renewed');
    age();
    expect(await renew()).toContain('not due');
    const before = (await status('two')).serial;
    const run = spawn(process.execPath, [COMMAND, 'agent', 'run', '--json', '--state', 'two'], {
      cwd: house().folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      await house().must('device', 'call-renewal', 'AG-2');
      // Signals are heard from before the lock is taken.
      const { dev, ino } = statSync(at('two'));
      await until(() => readFileSync('/proc/net/unix', 'utf8').includes(`birthmark-agent-${dev}-${ino}`));
      for (let tries = 0; tries < 50 && (await status('two')).serial === before; tries += 1)
        run.kill('SIGUSR2');
      expect((await status('two')).serial).not.toBe(before);
    } finally {
      const gone = run.exitCode ?? new Promise((resolve) => run.once('exit', resolve).kill('SIGTERM'));
      expect(await gone).toBe(0);
    }
  });

  test('recovers by its IDevID from a certificate that was revoked for compromise, and is refused without', async () => {
    const before = await status('one');
    await house().must('revoke', '--serial', before.serial ?? '', '--reason', 'keyCompromise');
    expect(await house().birthmark('agent', 'renew', '--now', '--state', 'one')).toMatchObject({ status: 0 });
    expect((await status('one')).serial).not.toBe(before.serial);
    const { serial = '' } = await status('two');
    await house().must('revoke', '--serial', serial, '--reason', 'keyCompromise');
    const refused = await house().birthmark('agent', 'renew', '--now', '--state', 'two');
    expect(refused).toMatchObject({ status: 1, err: expect.stringContaining('certificate-revoked') });
    expect((await status('two')).serial).toBe(serial);
  });
});

/** System calls that change what is on disk, or make sure that it is there. */
const CALLS = 'rename,symlink,mkdir,unlink,rmdir,fsync';

describe.skipIf(!hasProgram('strace'))('an agent that is killed', () => {
  const certificateOf = (state: string) =>
    new X509Certificate(readFileSync(at(`${state}/current/certificate.pem`)));
  /** Runs a command of ours that is killed as it enters call number `when` of those; whether it was. */
  async function killedAt(when: number, words: readonly string[]): Promise<boolean> {
    const inject = [...CALLS.split(',')].join(',');
    const trace = [
      '-f',
      '-qq',
      '-o',
      at('trace'),
      '-e',
      `trace=${inject}`,
      '-e',
      `inject=${inject}:signal=KILL:when=${when}`,
    ];
    const done = await runProgram('strace', [...trace, process.execPath, COMMAND, ...words], {
      cwd: house().folder,
    });
    return done.status !== 0;
  }

  /** A client on the device connects, with what is current on the disk. */
  async function use(state: string): Promise<ProbeVerdict> {
    const agent = await openAgent({
      ...{ folder: at(state), disk, clock: Date.now, elapsed: Date.now, environment: {} },
      ...{ random: (size) => new Uint8Array(size), tell: () => undefined },
      settings: { url: house().tlsUrl },
    });
    const [credential] = usableCredentials(agent);
    if (!credential) throw new Error('it is enrolled');
    return agent.authority.confirm(credential);
  }

  test('at any system call of a renewal has a credential then that is not held against it, and another one after the next run', async () => {
    let kills = 0;
    for (let when = 1; ; when += 1) {
      // A copy of one device would be a thief of it.
      const state = `killed-${when}`;
      const words = ['--ca', house().pem('root'), ...(await ticketWords(`KILLED-${when}`))];
      expect(await enroll(state, ...words)).toMatchObject({ status: 0 });
      const before = certificateOf(state).serialNumber;
      const wasKilled = await killedAt(when, ['agent', 'renew', '--now', '--state', state]);
      const current = path.join(at(state), readlinkSync(at(`${state}/current`)));
      const certificate = new X509Certificate(readFileSync(path.join(current, 'certificate.pem')));
      expect(certificate.checkPrivateKey(createPrivateKey(readFileSync(path.join(current, 'key.pem'))))).toBe(
        true,
      );
      expect(await use(state)).toEqual({ kind: 'accepted' });
      if (!wasKilled) break;
      kills += 1;
      expect(await house().birthmark('agent', 'renew', '--now', '--state', state)).toMatchObject({
        status: 0,
      });
      expect(certificateOf(state).serialNumber).not.toBe(before);
      expect(await use(state)).toEqual({ kind: 'accepted' });
      expect(readdirSync(at(`${state}/credentials`))).toHaveLength(1);
      expect(readdirSync(at(state)).filter((name) => name.endsWith('.new'))).toEqual([]);
    }
    expect(kills).toBeGreaterThan(15);
  }, 400_000);
});
