import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeDevices } from './make-devices.ts';
import { useHouse } from './use-house.ts';

const COMMAND = fileURLToPath(new URL('../../bin/birthmark.mjs', import.meta.url));
/** Four requests, one after another: killed after the first answer, most are still to come. */
const DEVICES = 2000;
const house = useHouse({ serve: ['--workers', '2'] });
let auditor = '';

beforeAll(async () => {
  await house().tokenFile('line', '--role', 'factory');
  auditor = await house().tokenFile('auditor', '--role', 'auditor');
});

/** The options of a run; each run of ours has files of its own. */
function optionsFor(run: string): string[] {
  const from = ['--url', house().tlsUrl, '--token-file', 'line.token', '--ca', house().pem('root')];
  return [
    'factory',
    'enroll',
    ...from,
    '--in',
    `${run}.in`,
    '--out',
    `${run}.out`,
    '--connections',
    '2',
    '--json',
  ];
}

interface Run {
  readonly child: ChildProcess;
  /** The summary, once it has ended well. */
  readonly ended: Promise<{ readonly status: number | null; readonly out: string; readonly err: string }>;
}

function start(run: string): Run {
  const child = spawn(process.execPath, [COMMAND, ...optionsFor(run)], { cwd: house().folder });
  let out = '';
  let err = '';
  child.stdout.on('data', (part: Buffer) => {
    out += part.toString();
  });
  child.stderr.on('data', (part: Buffer) => {
    err += part.toString();
  });
  return {
    child,
    ended: once(child, 'close').then(([status]) => ({ status: status as number | null, out, err })),
  };
}

/** Waits until the output has some of its lines. */
async function untilBegun(run: string): Promise<void> {
  const file = path.join(house().folder, `${run}.out`);
  while (!existsSync(file) || statSync(file).size === 0) await sleep(2);
}

const linesOf = (file: string) => house().read(file).split('\n').slice(0, -1);

/** Holds the output to the input: each device in its place, with a certificate whose serial number no other has. */
async function judge(run: string): Promise<void> {
  const wanted = linesOf(`${run}.in`).map((line) => parse(line).serialNumber);
  const got = linesOf(`${run}.out`).map(parse);
  expect(got.map(({ serialNumber }) => serialNumber)).toEqual(wanted);
  const serials = got.map(({ serial = 'none' }) => serial);
  expect(new Set(serials).size).toBe(wanted.length);
  // And the ledger has these and no others: nothing was issued twice on the way.
  const listed = await house().must(
    'certificate',
    'list',
    '--json',
    '--limit',
    '1000000',
    '--query',
    `${run}-`,
  );
  const ledger = (JSON.parse(listed) as { readonly serial: string }[]).map(({ serial }) => serial);
  expect(ledger.sort()).toEqual(serials.sort());
}

interface Line {
  readonly serialNumber: string;
  readonly serial?: string;
}
const parse = (line: string) => JSON.parse(line) as Line;

/** How many answers the server has given to enrollments, all its workers together. */
async function countAnswers(): Promise<number> {
  const { body } = await house().curl('/metrics', '-H', `Authorization: Bearer ${auditor}`);
  const found = body.matchAll(/^birthmark_enrollments_total\{.*\} (\d+)$/gm);
  return [...found].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('factory enroll', () => {
  test('killed in the middle and started again completes, asks for nothing that it has, and issues nothing twice', async () => {
    house().write('kill.in', makeDevices(DEVICES, 'kill-'));
    const first = start('kill');
    await untilBegun('kill');
    first.child.kill('SIGKILL');
    expect((await first.ended).status).toBe(null);
    const had = linesOf('kill.out').length;
    expect(had).toBeLessThan(DEVICES);
    await untilQuiet();
    const before = await countAnswers();
    const second = await start('kill').ended;
    expect(second.status).toBe(0);
    expect(JSON.parse(second.out)).toMatchObject({ before: had, granted: DEVICES - had, refused: 0 });
    expect((await countAnswers()) - before).toBe(DEVICES - had);
    await judge('kill');
  });

  test('cut in the middle of a line writes the same octets again', async () => {
    const file = path.join(house().folder, 'kill.out');
    const whole = readFileSync(file, 'utf8');
    truncateSync(file, Math.floor(whole.length * 0.9) + 100);
    expect((await start('kill').ended).status).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(whole);
    const again = await start('kill').ended;
    expect(JSON.parse(again.out)).toMatchObject({ before: DEVICES, granted: 0 });
  });

  test('goes on by itself when the server is killed and started again', async () => {
    house().write('server.in', makeDevices(DEVICES, 'server-'));
    const run = start('server');
    await untilBegun('server');
    await house().kill();
    await sleep(300);
    expect(run.child.exitCode).toBe(null);
    await house().restart();
    const { status, out, err } = await run.ended;
    expect(status, err).toBe(0);
    expect(err).toContain('trying again in');
    expect(JSON.parse(out)).toMatchObject({ granted: DEVICES, refused: 0 });
    await judge('server');
  });

  test('goes on by itself when a worker of the server is killed, and no act is lost', async () => {
    house().write('worker.in', makeDevices(DEVICES, 'worker-'));
    const run = start('worker');
    await untilBegun('worker');
    const [worker] = childrenOf(house().pid);
    process.kill(worker ?? 0, 'SIGKILL');
    const { status, err } = await run.ended;
    expect(status, err).toBe(0);
    await judge('worker');
    expect(house().log()).toContain('a worker died');
  });

  test('writes refusals in their place, and ends with 1', async () => {
    const [good = '', other = ''] = makeDevices(2, 'mixed-').split('\n');
    house().write('mixed.in', `${good}\nno JSON\n{"serialNumber":"mixed-x","csr":"AAAA"}\n${other}\n`);
    const { status, out, err } = await start('mixed').ended;
    expect([status, err]).toEqual([
      1,
      expect.stringMatching(/^birthmark: 2 lines were refused.*mixed\.out.*\n$/),
    ]);
    expect(JSON.parse(out)).toMatchObject({ granted: 2, refused: 2 });
    expect(linesOf('mixed.out').map((line) => JSON.parse(line) as object)).toMatchObject([
      { serialNumber: 'mixed-000000' },
      { line: 2, error: { code: 'bad-json' } },
      { serialNumber: 'mixed-x', error: { code: expect.stringMatching(/^bad-/) } },
      { serialNumber: 'mixed-000001' },
    ]);
  });
});

describe('factory enroll says in one line what is wrong, and ends with 1', () => {
  const refusals: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
    'another CA': [['--ca', 'idevid.pem'], /the server is not the one that --url and --ca describe/],
    'a file that is no CA': [['--ca', 'few.in'], /--ca few\.in/],
    'a wrong token': [['--token-file', 'wrong.token'], /sign in with a token.*\[unauthenticated\]/],
    "an auditor's token": [
      ['--token-file', 'auditor.token'],
      /role auditor may not enroll batches.*\[forbidden\]/,
    ],
    'a token file that others may read': [
      ['--token-file', 'open.token'],
      /open\.token has mode 0644.*chmod 600/,
    ],
    'an empty token file': [['--token-file', 'empty.token'], /empty\.token is empty/],
    'its own input as output': [['--out', 'few.in'], /line 1 of few\.in is no answer/],
    'no token file': [['--token-file', 'nowhere'], /nowhere cannot be read/],
    'a server that is not there': [['--url', 'https://127.0.0.1:9'], /ECONNREFUSED.*start again/],
    'a URL in the clear': [['--url', 'http://127.0.0.1:9'], /--url must begin with https:\/\//],
    'no URL': [['--url', 'pki.lab.example'], /--url/],
    'an unknown profile': [['--profile', 'nonsense'], /profile.*nonsense.*\[profile-unknown\]/],
    'no input': [['--in', 'nowhere'], /nowhere cannot be read/],
    "another batch's output": [['--out', 'kill.out'], /kill\.out is not about the device/],
  };

  beforeAll(() => {
    house().write('few.in', makeDevices(2, 'few-'));
    house().write('idevid.pem', house().read(house().pem('idevid')));
    chmodSync(house().write('empty.token', '\n'), 0o600);
    for (const [name, mode] of [
      ['wrong', 0o600],
      ['open', 0o644],
    ] as const) {
      chmodSync(
        house().write(`${name}.token`, name === 'open' ? house().read('line.token') : 'bmk_wrong\n'),
        mode,
      );
    }
  });

  test.each(Object.entries(refusals))('%s', async (_, [words, says]) => {
    const { status, out, err } = await house().birthmark(...optionsFor('few'), ...words);
    expect(status, err).toBe(1);
    expect(out).toBe('');
    const [last = ''] = err.trimEnd().split('\n').slice(-1);
    expect(last).toMatch(says);
    expect(last).toMatch(/^birthmark: .*\[[a-z-]+\]$/);
    expect(linesOf('kill.out').length).toBe(DEVICES);
  });

  test.each([
    ['no input', ['factory', 'enroll', '--url', 'https://127.0.0.1:9']],
    ['an option that there is not', [...['factory', 'enroll'], '--colour', 'red']],
    ['too many connections', ['factory', 'enroll', '--connections', '1000']],
  ])('and with 2 for %s', async (_, words) => {
    const { status, err } = await house().birthmark(...words);
    expect([status, err]).toEqual([2, expect.stringMatching(/^error: .*\n$/)]);
  });
});

/** Waits until the server has nothing more to do for a client that is gone. */
async function untilQuiet(): Promise<void> {
  for (let before = -1, now = await countAnswers(); before !== now; now = await countAnswers()) {
    before = now;
    await sleep(300);
  }
}

/** The processes that a process started (proc(5)). */
function childrenOf(pid: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((candidate) => {
    try {
      const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${candidate}/stat`, 'latin1')) ?? [];
      return Number(parent) === pid;
    } catch {
      return false;
    }
  });
}
