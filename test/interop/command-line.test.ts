import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { birthmark } from './house.ts';
import { type Done, mustRun, runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The help of every command that does something, by its words. */
async function listHelps(words: readonly string[] = []): Promise<[string, string][]> {
  const { out } = await birthmark([...words, '--help']);
  const list = out.split('\nCommands:\n')[1] ?? '';
  const inner = [...list.matchAll(/^ {2}([a-z-]+)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help');
  if (inner.length === 0) return [[words.join(' '), out]];
  return (await Promise.all(inner.map((name) => listHelps([...words, name])))).flat();
}

/** The PATH of a shell that knows nothing of this project. */
function systemPath(): NodeJS.ProcessEnv {
  const folders = (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((one) => !one.includes('node_modules'));
  return { PATH: folders.join(path.delimiter), HOME: process.env.HOME };
}

describe('the command, from a shell whose Node is whatever the system has', () => {
  test('npx birthmark --help lists the commands', async () => {
    const done = await runProgram('npx', ['--no-install', 'birthmark', '--help'], {
      cwd: PROJECT,
      env: systemPath(),
    });
    expect(done).toMatchObject({ status: 0, out: expect.stringContaining('Usage: birthmark') });
    for (const name of ['init', 'serve', 'token', 'ticket', 'factory', 'issue', 'device', 'lint', 'audit'])
      expect(done.out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  });

  test('passes exit codes on', async () => {
    const run = (...words: readonly string[]) =>
      runProgram('node', ['bin/birthmark.mjs', ...words], { cwd: PROJECT, env: systemPath() });
    expect(await run('--version')).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect(await run('token', 'list', '--home', path.join(folder, 'none'))).toMatchObject({ status: 1 });
    expect(await run('nonsense')).toMatchObject({ status: 2 });
  });
});

describe('every command', () => {
  test('has a help with an example of itself, --home and --json', async () => {
    const helps = new Map(await listHelps());
    expect([...helps.keys()]).toEqual(
      expect.arrayContaining([
        'init',
        'serve',
        'token create',
        'ticket create',
        'issue',
        'factory enroll',
        'lint',
      ]),
    );
    for (const [words, help] of helps) {
      expect(help, words).toContain('  --home <dir> ');
      expect(help, words).toContain('  --json ');
      expect(help, words).toMatch(new RegExp(`\nExample:\n {2}\\$ birthmark ${words}\\b`));
    }
  });

  test.each([['lint'], ['token list'], ['factory enroll']])(
    '%s refuses an option that it does not know with 2',
    async (words) => {
      const { status, out, err } = await birthmark([...words.split(' '), '--colour', 'red'], {}, folder);
      expect([status, out, err]).toEqual([2, '', expect.stringMatching(/^error: .*\n$/)]);
    },
  );
});

describe('what is wrong is said in one line that helps', () => {
  const refusals: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
    'no home': [
      ['token', 'list', '--home', 'none'],
      /there is no home at this place .*birthmark init makes one \[home-missing\]/,
    ],
    'a home that is a file': [['init', '--home', 'one.csr'], /the system refused: EEXIST: .*one\.csr/],
    'a public URL of another kind': [
      ['init', '--home', 'new', '--public-url', 'ftp://x'],
      /--public-url ftp:\/\/x is no http/,
    ],
    'a TLS name that is none': [
      ['init', '--home', 'new', '--tls-name', 'a b'],
      /listen\.tlsNames: "a b" is neither/,
    ],
    'a name that is too long': [
      ['init', '--home', 'new', '--organization', 'x'.repeat(65)],
      /organization .*64 characters/,
    ],
    'a device that there is not': [['device', 'show', 'SN-0'], /there is no device "SN-0"/],
    'a device of a maker that there is not': [
      ['device', 'show', 'SN-0', '--namespace', 'acme'],
      /there is no device "SN-0" in namespace acme/,
    ],
    'a certificate that there is not': [['certificate', 'show', '00ff'], /no certificate here has serial ff/],
    "a manufacturer's CA that is none": [
      ['trust', 'add', '--ca', 'one.csr', '--namespace', 'acme'],
      /certificate holds no PEM block "CERTIFICATE" \[bad-pem\]/,
    ],
    'a CA that is not trusted': [['trust', 'remove', '00000000'], /no trusted CA .*00000000 \[not-found\]/],
    'an enrollment that there is not': [
      ['enrollment', 'approve', '1'],
      /there is no enrollment 1 \[not-found\]/,
    ],
    'a serial number that no certificate can say': [
      ['ticket', 'create', '--serial-number', 'SN_1'],
      /PrintableString.*\[serial-number-invalid\]/,
    ],
    'a profile that there is not': [
      ['ticket', 'create', '--serial-number', 'SN-1', '--profile', 'x'],
      /there are idevid, ldevid, server, operator/,
    ],
    'a limit that a role does not have': [
      ['token', 'create', '--role', 'admin', '--name', 'x', '--count', '1'],
      /count limits factory tokens only/,
    ],
    'a role for a device': [
      ['issue', '--profile', 'ldevid', '--role', 'admin', '--csr', 'one.csr'],
      /role means nothing for profile ldevid/,
    ],
    'a file that is no CSR': [
      ['issue', '--profile', 'ldevid', '--csr', 'one.key'],
      /csr holds no PEM block "CERTIFICATE REQUEST"/,
    ],
    'a file that is not there': [
      ['issue', '--profile', 'ldevid', '--csr', 'nowhere'],
      /--csr nowhere cannot be read/,
    ],
    'a place where no file can be': [
      [
        'issue',
        '--profile',
        'server',
        '--dns',
        'a.lab.example',
        '--csr',
        'one.csr',
        '--out',
        'nowhere/x.pem',
      ],
      /was issued, but --out nowhere\/x\.pem cannot be written; birthmark certificate show [0-9a-f]+ prints it/,
    ],
  };
  const house = useHouse();
  beforeAll(async () => {
    const csr = [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'one.key',
    ];
    await mustRun('openssl', [...csr, '-subj', '/CN=x', '-out', 'one.csr'], { cwd: folder });
  });

  test.each(Object.entries(refusals))('%s', async (_, [words, says]) => {
    const { status, out, err }: Done = await birthmark(words, { BIRTHMARK_HOME: house().home }, folder);
    expect([status, out]).toEqual([1, '']);
    expect(err.replace(/^not granted: .*\n/, '')).toMatch(/^birthmark: .*\n$/);
    expect(err).toMatch(says);
  });

  test('and an init that was refused leaves nothing that stands in the way of the next one', async () => {
    expect(await birthmark(['init', '--home', 'new'], {}, folder)).toMatchObject({ status: 0 });
  });

  test('who reads only the beginning of the output ends the command without complaint', async () => {
    const bin = path.join(PROJECT, 'bin', 'birthmark.mjs');
    const script = `'${process.execPath}' '${bin}' lint --rules | head -n 1`;
    const { out, err } = await runProgram('sh', ['-c', script]);
    expect([out, err]).toEqual([expect.stringMatching(/^error .*\n$/), '']);
  });
});
