// Two workers, followed by curl; openssl verifies what they sign, and makes the proofs that they take.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse({ serve: ['--workers', '2'] });
const WITHIN_MS = 10_000;
/** A change of another process is told within this time, on a machine that has other things to do too. */
const TOLD_WITHIN_MS = 1000;
let token: Promise<string> | undefined;
const gate = async () => {
  token ??= house().tokenFile('gate', '--role', 'gate');
  return `Authorization: Bearer ${await token}`;
};

interface Reader {
  readonly child: ChildProcess;
  /** Data of the events of that kind, with their ids. */
  events(kind: string): { readonly id: string; readonly data: Record<string, unknown> }[];
  until(kind: string, count: number): Promise<void>;
}

async function follow(...words: readonly string[]): Promise<Reader> {
  const url = `${house().tlsUrl}/api/v1/status-feed`;
  const common = ['-sS', '-N', '--noproxy', '*', '--cacert', house().pem('root'), '-H', await gate()];
  const child = spawn(
    'curl',
    [...common, ...words, words.some((one) => one.startsWith('http')) ? [] : url].flat(),
  );
  let text = '';
  child.stdout.on('data', (part: Buffer) => {
    text += part.toString();
  });
  const events = (kind: string) =>
    text.split('\n\n').flatMap((block) => {
      const [, id = ''] = /^id: (.*)$/m.exec(block) ?? [];
      const [, data] = /^data: (.*)$/m.exec(block) ?? [];
      return data !== undefined && block.includes(`event: ${kind}\n`) ? [{ id, data: JSON.parse(data) }] : [];
    });
  return {
    child,
    events,
    until: async (kind, count) => {
      const deadline = performance.now() + WITHIN_MS;
      while (events(kind).length < count) {
        if (performance.now() > deadline) throw new Error(`too few ${kind} came:\n${text}`);
        await sleep(5);
      }
    },
  };
}

async function issue(name: string): Promise<string> {
  house().write(`${name}.csr`, await opensslCsr(house().folder, name, 'P-256', name));
  await house().must(
    'issue',
    '--profile',
    'ldevid',
    '--serial-number',
    name,
    '--csr',
    `${name}.csr`,
    '--out',
    `${name}.pem`,
  );
  const text = await house().program('openssl', 'x509', '-in', `${name}.pem`, '-noout', '-serial');
  return text
    .trim()
    .replace(/^serial=/, '')
    .toLowerCase();
}

test('curl hears of changes that other processes made, is killed, and misses nothing', async () => {
  const serials = [await issue('one'), await issue('two'), await issue('three')];
  // Some at each of the workers.
  const readers = await Promise.all(Array.from({ length: 4 }, () => follow()));
  await Promise.all(readers.map((reader) => reader.until('position', 1)));
  await house().must('revoke', '--serial', serials[0] ?? '', '--reason', 'keyCompromise');
  const told = performance.now();
  await Promise.all(readers.map((reader) => reader.until('status', 1)));
  expect(performance.now() - told).toBeLessThan(TOLD_WITHIN_MS);
  for (const reader of readers)
    expect(reader.events('status')[0]?.data).toMatchObject({
      serial: serials[0],
      status: 'revoked',
      authority: 'ldevid',
    });
  // What a gate computes from a certificate by itself.
  const aki = await house().program(
    'openssl',
    'x509',
    '-in',
    'one.pem',
    '-noout',
    '-ext',
    'authorityKeyIdentifier',
  );
  const [, keyId = ''] = /((?:[0-9A-F]{2}:){19}[0-9A-F]{2})/.exec(aki) ?? [];
  const first = readers[0]?.events('status')[0];
  expect(first?.data.issuerKeyId).toBe(keyId.replaceAll(':', '').toLowerCase());

  for (const { child } of readers) child.kill('SIGKILL');
  await house().must('hold', '--serial', serials[1] ?? '');
  await house().must('unhold', '--serial', serials[1] ?? '');
  await house().must('revoke', '--serial', serials[2] ?? '', '--reason', 'superseded');
  const again = await follow('-H', `Last-Event-ID: ${first?.id}`);
  await again.until('status', 3);
  expect(again.events('status').map(({ data }) => [data.serial, data.status])).toEqual([
    [serials[1], 'held'],
    [serials[1], 'good'],
    [serials[2], 'revoked'],
  ]);
  again.child.kill('SIGKILL');
});

test('openssl verifies a snapshot by the lines of the manual, and not one that was changed', async () => {
  await house().curl('/api/v1/status-snapshot', '-H', await gate(), '-o', 'snapshot.ndjson');
  house().write('root.pem', readFileSync(house().pem('root')));
  const manual = readFileSync(fileURLToPath(new URL('../../docs/status-feed.md', import.meta.url)), 'utf8');
  const script = manual
    .slice(manual.indexOf("    sed '$d'"), manual.indexOf('`src/broker-auth'))
    .replaceAll(/^ {4}/gm, '');
  const run = () => runProgram('bash', ['-e', '-o', 'pipefail', '-c', script], { cwd: house().folder });
  const done = await run();
  expect([done.status, done.out]).toEqual([0, expect.stringContaining('Verified OK')]);
  const snapshot = house().read('snapshot.ndjson');
  expect(JSON.parse(snapshot.slice(0, snapshot.indexOf('\n')))).toMatchObject({ version: 1 });
  house().write('snapshot.ndjson', snapshot.replace('"revoked"', '"held"'));
  expect((await run()).status).not.toBe(0);
});

test('a proof that openssl makes ends a device’s certificate, at whichever worker, and one over a challenge too', async () => {
  const post = ['-H', 'Content-Type: application/pkcs10'];
  const prove = async (name: string, subject: string) => {
    const key = path.join(house().folder, `${name}.key`);
    await house().program(
      'openssl',
      'req',
      '-new',
      '-key',
      key,
      '-subj',
      `/CN=${subject}`,
      '-out',
      'proof.pem',
    );
    const { status, body } = await house().curl(
      '/api/v1/key-compromise',
      ...post,
      '--data-binary',
      '@proof.pem',
    );
    return [status, JSON.parse(body)];
  };
  const reader = await follow();
  await reader.until('position', 1);
  await issue('leaked');
  expect(await prove('leaked', 'Proof of Key Compromise')).toEqual([200, { known: true, revoked: 1 }]);
  await reader.until('status', 1);
  expect(reader.events('status')[0]?.data).toMatchObject({ status: 'revoked', reason: 'keyCompromise' });
  reader.child.kill('SIGKILL');
  expect(await prove('leaked', 'Proof of Key Compromise')).toEqual([200, { known: true, revoked: 0 }]);

  await issue('leaked-too');
  // The challenge of one worker is good at the other.
  const { body } = await house().curl('/api/v1/key-compromise');
  const { challenge } = JSON.parse(body);
  const answers: unknown[] = [];
  for (let at = 0; at < 4; at += 1) answers.push(await prove('leaked-too', challenge));
  expect(answers[0]).toEqual([200, { known: true, revoked: 1 }]);
  expect(answers.slice(1)).toEqual(Array.from({ length: 3 }, () => [200, { known: true, revoked: 0 }]));
  expect(await prove('leaked-too', 'leaked-too')).toMatchObject([400, { code: 'bad-csr' }]);
});

test('serve stops at once although somebody follows', async () => {
  const reader = await follow();
  await reader.until('position', 1);
  const gone = new Promise((resolve) => reader.child.once('exit', resolve));
  const begun = performance.now();
  await house().stop();
  await gone;
  expect(performance.now() - begun).toBeLessThan(8000);
});
