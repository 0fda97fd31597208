import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { defaultConfig } from '../../src/cli/config/default-config.ts';
import { loadConfig } from '../../src/cli/config/load-config.ts';
import { renderConfig } from '../../src/cli/config/render-config.ts';
import { type Home, homeAt } from '../../src/cli/home.ts';
import { initHome } from '../../src/cli/init-home.ts';
import { openHouse } from '../../src/cli/wire.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { codeOfAsync } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';

const OPTIONS = {
  publicUrl: 'http://pki.lab.example',
  tlsNames: ['localhost'],
  organization: 'Lab',
  algorithm: 'ec-p256',
} as const;
const GIVEN = { BIRTHMARK_PASSPHRASE: 'sixteen letters!' };

const recordOf = (home: Home) => join(home.path, 'ledger.record');
const newHome = () => homeAt(join(temporaryFolder(), 'home'));
const init = (
  home: Home,
  environment: NodeJS.ProcessEnv = GIVEN,
  options: Parameters<typeof initHome>[1] = OPTIONS,
) => initHome(home, options, environment);

async function open(home: Home, environment: NodeJS.ProcessEnv = GIVEN): Promise<void> {
  const house = await openHouse(home, loadConfig(home.config), environment);
  house.close();
}

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('a home is made: keys for its owner only, certificates for everybody, a passphrase where none was given', async () => {
  const home = newHome();
  const result = await init(home, {});
  expect(result).toMatchObject({ created: true, passphraseFile: join(home.keys, 'passphrase') });
  expect(readdirSync(home.keys).sort()).toEqual([
    'idevid.key',
    'ldevid.key',
    'passphrase',
    'root.key',
    'service.key',
  ]);
  expect(readdirSync(home.pki).sort()).toEqual([
    'bundle.pem',
    'idevid.pem',
    'ldevid.pem',
    'root.pem',
    'service.pem',
  ]);
  expect([mode(home.keys), mode(home.key('root')), mode(home.ledger), mode(home.pem('root'))]).toEqual([
    '700',
    '600',
    '600',
    '644',
  ]);
  expect(readFileSync(home.pem('bundle'), 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(4);
  await open(home, {});
});

describe('init again', () => {
  test('changes nothing, whatever it is asked for', async () => {
    const home = newHome();
    const first = await init(home);
    const before = [home.config, home.key('root'), home.pem('root')].map((path) =>
      readFileSync(path, 'utf8'),
    );
    const second = await init(home, {}, { ...OPTIONS, organization: 'Other', algorithm: 'ed25519' });
    expect(second).toMatchObject({ created: false, authorities: first.authorities });
    expect(
      [home.config, home.key('root'), home.pem('root')].map((path) => readFileSync(path, 'utf8')),
    ).toEqual(before);
  });

  test('brings back certificates that were deleted', async () => {
    const home = newHome();
    await init(home);
    const before = readFileSync(home.pem('idevid'), 'utf8');
    rmSync(home.pki, { recursive: true });
    await init(home);
    expect(readFileSync(home.pem('idevid'), 'utf8')).toBe(before);
  });

  test('after one that ended between the keys and the ledger takes the keys up', async () => {
    const home = newHome();
    await init(home);
    const key = readFileSync(home.key('root'), 'utf8');
    for (const suffix of ['', '-wal', '-shm']) rmSync(home.ledger + suffix, { force: true });
    rmSync(recordOf(home));
    rmSync(home.pki, { recursive: true });
    expect(await init(home)).toMatchObject({ created: true });
    expect(readFileSync(home.key('root'), 'utf8')).toBe(key);
    await open(home);
  });
});

test('a configuration that is there decides', async () => {
  const home = newHome();
  mkdirSync(home.path);
  const config = defaultConfig({ ...OPTIONS, algorithm: 'ed25519' });
  writeFileSync(home.config, renderConfig({ ...config, publicUrl: 'http://other.example' }));
  const { loaded, authorities } = await init(home);
  expect(loaded.config.publicUrl).toBe('http://other.example');
  expect(Buffer.from(authorities[1]?.certificate ?? []).includes('http://other.example/crl/root.crl')).toBe(
    true,
  );
});

describe('nothing is made', () => {
  test.each<[string, NodeJS.ProcessEnv, Parameters<typeof initHome>[1], string]>([
    ['with a short passphrase', { BIRTHMARK_PASSPHRASE: 'short' }, OPTIONS, 'passphrase-wrong'],
    ['with an empty passphrase', { BIRTHMARK_PASSPHRASE: '' }, OPTIONS, 'passphrase-wrong'],
    [
      'for an organization that no certificate can hold',
      GIVEN,
      { ...OPTIONS, organization: 'x'.repeat(65) },
      'config-invalid',
    ],
    [
      'for a public URL that no certificate can hold',
      GIVEN,
      { ...OPTIONS, publicUrl: 'http://ü.example' },
      'config-invalid',
    ],
  ])('%s, and the next init is not hindered', async (_title, environment, options, code) => {
    const home = newHome();
    expect(await codeOfAsync(init(home, environment, options))).toBe(code);
    expect(existsSync(home.key('root'))).toBe(false);
    expect(await init(home)).toMatchObject({ created: true });
  });

  test('with authorities of one name, and the message says which', async () => {
    const home = newHome();
    mkdirSync(home.path);
    const config = defaultConfig(OPTIONS);
    const { root } = config.authorities;
    writeFileSync(
      home.config,
      renderConfig({ ...config, authorities: { ...config.authorities, ldevid: root } }),
    );
    await expect(init(home)).rejects.toMatchObject({
      code: 'name-invalid',
      message: expect.stringMatching(/root and ldevid/),
    });
    const ledger = openLedger({ path: home.ledger });
    expect(await ledger.read.listAuthorities()).toEqual([]);
    ledger.close();
  });

  test('where the home cannot be locked', async () => {
    const home = newHome();
    mkdirSync(join(home.path, 'serve.lock'), { recursive: true });
    expect(await codeOfAsync(init(home))).toBe('home-unreadable');
  });
});

describe('a home does not open', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const made = homeAt(join(folder, 'home'));
  await init(made);

  test.each<[string, (home: Home) => void, NodeJS.ProcessEnv, string]>([
    [
      'with a wrong passphrase',
      () => undefined,
      { BIRTHMARK_PASSPHRASE: 'seventeen letters' },
      'passphrase-wrong',
    ],
    ['without a passphrase', () => undefined, {}, 'passphrase-missing'],
    [
      'with a key that others may read',
      (home) => chmodSync(home.key('idevid'), 0o644),
      GIVEN,
      'key-file-permissions',
    ],
    ['without a key', (home) => rmSync(home.key('ldevid')), GIVEN, 'key-file-unreadable'],
    [
      "with another authority's key",
      (home) => copyFileSync(home.key('ldevid'), home.key('idevid')),
      GIVEN,
      'key-file-unreadable',
    ],
    ['without its ledger', (home) => rmSync(home.ledger), GIVEN, 'record-foreign'],
    ['without its record', (home) => rmSync(recordOf(home)), GIVEN, 'record-missing'],
    [
      'without authorities',
      (home) => {
        rmSync(home.ledger);
        rmSync(recordOf(home));
      },
      GIVEN,
      'home-missing',
    ],
  ])('%s', async (_title, change, environment, code) => {
    const home = newHome();
    for (const part of [home.path, home.keys]) mkdirSync(part);
    for (const path of [
      made.config,
      made.ledger,
      recordOf(made),
      ...readdirSync(made.keys).map((name) => join(made.keys, name)),
    ])
      copyFileSync(path, path.replace(made.path, home.path));
    change(home);
    expect(await codeOfAsync(open(home, environment))).toBe(code);
  });

  test('with another root key: what it signs is refused before it leaves', async () => {
    copyFileSync(made.key('idevid'), made.key('root'));
    const house = await openHouse(made, loadConfig(made.config), GIVEN);
    const root = house.authorities.get('root');
    expect(await codeOfAsync((async () => root?.signer.sign(Buffer.from('tbs')))())).toBe(
      'key-file-unreadable',
    );
    house.close();
  });
});

test('there is no home at a place without one', async () => {
  const home = newHome();
  expect(await codeOfAsync((async () => loadConfig(home.config))())).toBe('home-missing');
});
