import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { birthmark, must } from './command.ts';
import { copyHome, makeFolder, makeServedHome } from './home.ts';
import { serve } from './serving.ts';

const folder = makeFolder();
let template: Home;

beforeAll(async () => {
  template = await makeServedHome(folder);
});
afterAll(() => folder.remove());

interface Fault {
  readonly code: string;
  /** What the one line must name, so that a person knows where to look. */
  readonly names: RegExp;
  readonly make: (home: Home) => NodeJS.ProcessEnv | undefined;
}

function edit(file: string, change: (text: string) => string): undefined {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'a wrong passphrase': {
    code: 'passphrase-wrong',
    names: /idevid\.key/,
    make: () => ({ BIRTHMARK_PASSPHRASE: 'sixteen letters and more' }),
  },
  'a passphrase that is too short to be one': {
    code: 'passphrase-wrong',
    names: /BIRTHMARK_PASSPHRASE/,
    make: () => ({ BIRTHMARK_PASSPHRASE: 'short' }),
  },
  'no passphrase': {
    code: 'passphrase-missing',
    names: /keys\/passphrase.*BIRTHMARK_PASSPHRASE/,
    make: (home) => rmSync(`${home.keys}/passphrase`) as undefined,
  },
  'a passphrase file that others may read': {
    code: 'key-file-permissions',
    names: /keys\/passphrase.*0644.*chmod 600/,
    make: (home) => chmodSync(`${home.keys}/passphrase`, 0o644) as undefined,
  },
  'a key file that others may read': {
    code: 'key-file-permissions',
    names: /ldevid\.key.*0644.*chmod 600/,
    make: (home) => chmodSync(home.key('ldevid'), 0o644) as undefined,
  },
  'a key file that is gone': {
    code: 'key-file-unreadable',
    names: /idevid\.key/,
    make: (home) => rmSync(home.key('idevid')) as undefined,
  },
  'a key file of another authority': {
    code: 'key-file-unreadable',
    names: /idevid/,
    make: (home) => copyFileSync(home.key('ldevid'), home.key('idevid')) as undefined,
  },
  'a key file without encryption': {
    code: 'key-file-unreadable',
    names: /service\.key/,
    make: (home) => writeFileSync(home.key('service'), '-----BEGIN PRIVATE KEY-----\n') as undefined,
  },
  'a configuration that is no TOML': {
    code: 'config-invalid',
    names: /birthmark\.toml.*line 1/,
    make: (home) => edit(home.config, (text) => `= 1\n${text}`),
  },
  'a configuration with a key that is not known': {
    code: 'config-invalid',
    names: /birthmark\.toml.*worker is not known/,
    make: (home) => edit(home.config, (text) => `worker = 2\n${text}`),
  },
  'a configuration that breaks a rule of profiles': {
    code: 'config-invalid',
    names: /profiles\.ldevid/,
    make: (home) =>
      edit(home.config, (text) => text.replace(/^validityDays = 90$/m, 'validityDays = "forever"')),
  },
  'a configuration that cannot be read': {
    code: 'config-invalid',
    names: /birthmark\.toml/,
    make: (home) => {
      rmSync(home.config);
      mkdirSync(home.config);
      return undefined;
    },
  },
  'no home': {
    code: 'home-missing',
    names: /birthmark init/,
    make: (home) => rmSync(home.path, { recursive: true }) as undefined,
  },
  'a ledger that is gone': {
    code: 'record-foreign',
    names: /ledger was lost.*birthmark restore/,
    make: (home) => {
      for (const end of ['', '-wal', '-shm']) rmSync(`${home.ledger}${end}`, { force: true });
      return undefined;
    },
  },
  'a record that is gone': {
    code: 'record-missing',
    names: /ledger\.record.*put it back.*--begin-record/,
    make: (home) => rmSync(`${home.path}/ledger.record`) as undefined,
  },
  'a record that was cut': {
    code: 'record-behind',
    names: /ledger\.record.*newest copy.*--begin-record/,
    make: (home) => truncateSync(`${home.path}/ledger.record`, 1000) as undefined,
  },
  'a record whose end was changed': {
    code: 'record-foreign',
    names: /ledger\.record.*changed.*--begin-record/,
    make: (home) => {
      const octets = readFileSync(`${home.path}/ledger.record`);
      octets.writeUInt8(1 ^ octets.readUInt8(octets.length - 9), octets.length - 9);
      return writeFileSync(`${home.path}/ledger.record`, octets) as undefined;
    },
  },
  'a ledger with garbage at its head': {
    code: 'ledger-failed',
    names: /damaged.*restore/,
    make: (home) => {
      const octets = readFileSync(home.ledger);
      octets.fill('garbage', 0, 512);
      return writeFileSync(home.ledger, octets) as undefined;
    },
  },
  'a ledger with garbage in its pages': {
    code: 'ledger-failed',
    names: /damaged.*restore/,
    make: (home) => {
      const octets = readFileSync(home.ledger);
      octets.fill('garbage', 4096);
      return writeFileSync(home.ledger, octets) as undefined;
    },
  },
  "somebody else's database": {
    code: 'ledger-failed',
    names: /not a ledger/,
    make: (home) => {
      rmSync(home.ledger);
      const db = new Database(home.ledger);
      db.exec('CREATE TABLE theirs (x)');
      return db.close() && undefined;
    },
  },
};

/** What a person sees: everything on stderr but the log's JSON. */
const told = (err: string) => err.split('\n').filter((line) => line !== '' && !line.startsWith('{'));

describe('a start that cannot be ends with 1 and one line that says what to do', () => {
  test.concurrent.for(Object.entries(FAULTS))('%s', async ([, { code, names, make }]) => {
    const home = copyHome(template, folder);
    const env = make(home);
    const { status, out, err } = await birthmark(home, ['serve', '--public-port', '0', '--tls-port', '0'], {
      ...(env && { env }),
    });
    expect(told(err)).toEqual([expect.stringMatching(new RegExp(`^birthmark: .* \\[${code}\\]$`))]);
    expect(told(err)[0]).toMatch(names);
    expect([status, out]).toEqual([1, '']);
  });

  test.concurrent.each(['1', '2'])('a port in use, with %s workers: no process is left', async (workers) => {
    const home = copyHome(template, folder);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = String(typeof address === 'object' && address ? address.port : 0);
    const words = ['serve', '--workers', workers, '--public-port', '0', '--tls-port', port];
    const { status, out, err } = await birthmark(home, words);
    expect(told(err)).toEqual([
      expect.stringMatching(
        new RegExp(`^birthmark: .*tls.*127.0.0.1:${port}: another program listens.*\\[listen-failed\\]$`),
      ),
    ]);
    expect([status, out]).toEqual([1, '']);
    taken.close();
    // Nothing holds the home: it is served as soon as the port is free.
    const serving = await serve(home, { words: words.slice(1) });
    expect((await serving.end('SIGTERM')).code).toBe(0);
  });

  test('a home that lies too deep for a Unix socket; other commands do not mind', async () => {
    const deep = path.join(folder.path, 'd'.repeat(100), 'home');
    mkdirSync(path.dirname(deep));
    const home = copyHome(template, { ...folder, fresh: () => deep });
    const { status, err } = await birthmark(home, ['serve', '--public-port', '0', '--tls-port', '0']);
    expect(told(err)).toEqual([expect.stringMatching(/shorter path \[listen-failed\]$/)]);
    expect(status).toBe(1);
    expect(await must(home, ['ticket', 'create', '--serial-number', 'D-1'])).toContain('bmt_');
  });
});

describe('what was damaged and can be made again is made again', () => {
  test.concurrent.each([
    ['a TLS certificate that is garbage', (home: Home) => writeFileSync(home.pem('tls-listener'), 'garbage')],
    ['no TLS key', (home: Home) => rmSync(home.key('tls-listener'))],
    ['certificates that are gone', (home: Home) => rmSync(home.pki, { recursive: true })],
  ] as const)('%s', async (_, damage) => {
    const home = copyHome(template, folder);
    const root = readFileSync(home.pem('root'), 'utf8');
    damage(home);
    await must(home, ['init']);
    const serving = await serve(home);
    expect(readFileSync(home.pem('root'), 'utf8')).toBe(root);
    expect(readFileSync(home.pem('tls-listener'), 'utf8')).toContain('BEGIN CERTIFICATE');
    expect((await serving.end('SIGTERM')).code).toBe(0);
  });
});

test('`init` makes no second hierarchy with the keys of a home whose ledger was lost', async () => {
  const home = copyHome(template, folder);
  const root = readFileSync(home.pem('root'), 'utf8');
  rmSync(home.ledger);
  const { status, err } = await birthmark(home, ['init']);
  expect(told(err)).toEqual([
    expect.stringMatching(/^birthmark: .*the ledger was lost.* \[record-foreign\]$/),
  ]);
  expect(status).toBe(1);
  expect(readFileSync(home.pem('root'), 'utf8')).toBe(root);
});
