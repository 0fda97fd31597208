import { spawn } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, watch } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { birthmark, COMMAND, cleanEnvironment, must } from './command.ts';
import { makeFolder } from './home.ts';
import { faultOf, listAudit, listIssued, readLedger } from './ledger-facts.ts';
import { serve } from './serving.ts';

const folder = makeFolder();
afterAll(() => folder.remove());

const NAMES = ['root', 'idevid', 'ldevid', 'service'];

/** Runs `init` and kills it when it has changed so many things in its folder. Tells whether it came to its end before. */
function initUntil(home: Home, changes: number): Promise<boolean> {
  mkdirSync(home.path, { recursive: true });
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, 'init', '--home', home.path], {
      env: cleanEnvironment(),
      stdio: 'ignore',
    });
    let seen = 0;
    const watcher = watch(home.path, { recursive: true }, () => {
      seen += 1;
      if (seen === changes) child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      watcher.close();
      if (code !== null && code !== 0) reject(new Error(`init ended with ${code}`));
      else resolve(signal === null);
    });
  });
}

async function expectOneHierarchy(home: Home): Promise<void> {
  const authorities = await readLedger(home, async (read) => {
    const acts = (await listAudit(read)).map(({ action, subject }) => `${action} ${subject}`);
    // All four are one act. Where the kill came after the record had it and before the ledger did, the next start brought it in.
    if (acts.includes('record.replay record')) {
      expect(acts.map((act) => act.replace(/certificate:\w+$/, ''))).toEqual([
        ...NAMES.map(() => 'certificate.issue '),
        'record.replay record',
      ]);
    } else {
      expect(acts).toEqual(NAMES.map((name) => `authority.create authority:${name}`));
      expect(await listIssued(read)).toHaveLength(NAMES.length);
      expect(await read.findReserved(1)).toEqual([]);
    }
    return read.listAuthorities();
  });
  expect(authorities.map(({ name }) => name)).toEqual(NAMES);
  const passphrase = readFileSync(`${home.keys}/passphrase`, 'utf8').trim();
  const files = authorities.map(({ name, certificate }) => {
    const pem = readFileSync(home.pem(name), 'utf8');
    const read = new X509Certificate(pem);
    expect(read.raw).toEqual(Buffer.from(certificate));
    const key = createPrivateKey({ key: readFileSync(home.key(name)), passphrase });
    expect(read.checkPrivateKey(key)).toBe(true);
    expect(read.verify(new X509Certificate(readFileSync(home.pem('root'))).publicKey)).toBe(true);
    return pem;
  });
  expect(readFileSync(home.pem('bundle'), 'utf8')).toBe(files.join(''));
  expect(readdirSync(home.path).sort()).toEqual(
    expect.arrayContaining(['birthmark.toml', 'keys', 'ledger.db', 'pki', 'serve.lock']),
  );
  // Nothing half written lies about.
  const all = readdirSync(home.path, { recursive: true, encoding: 'utf8' });
  expect(all.filter((name) => name.includes('.new'))).toEqual([]);
}

describe('an init that is killed again and again ends in one whole home', () => {
  test.concurrent.each([
    [1, 4],
    [2, 5],
  ])('from the change number %i on, every %i changes', async (first, step) => {
    const home = homeAt(folder.fresh());
    let kills = 0;
    for (let changes = first; !(await initUntil(home, changes)); changes += step) kills += 1;
    expect(kills).toBeGreaterThan(2);
    const { status, out } = await birthmark(home, ['init']);
    expect([status, out]).toEqual([0, expect.stringContaining('nothing was changed')]);
    await expectOneHierarchy(home);
    const serving = await serve(home);
    expect((await serving.end('SIGTERM')).code).toBe(0);
    // To the octet what is published, also where the record brought it back.
    await readLedger(home, async (read) => {
      for (const name of NAMES)
        expect(await faultOf(read, home, readFileSync(home.pem(name), 'utf8'))).toBeUndefined();
      expect(await read.findReserved(1)).toEqual([]);
    });
    expect(await must(home, ['ticket', 'create', '--serial-number', 'S-1'])).toContain('bmt_');
  });
});

test('two inits at once make one home: one does it, the other says that it is under way or there', async () => {
  const home = homeAt(folder.fresh());
  const [one, two] = await Promise.all([birthmark(home, ['init']), birthmark(home, ['init'])]);
  expect([one.status, two.status]).toContain(0);
  for (const { status, out, err } of [one, two]) {
    if (status === 0) expect(out).toContain('root SHA-256');
    else expect(err).toMatch(/^birthmark: another process .* \[home-in-use\]\n$/);
  }
  await expectOneHierarchy(home);
});

test('`serve --init` finishes what a killed init has left', async () => {
  const home = homeAt(folder.fresh());
  await initUntil(home, 12);
  const serving = await serve(home, { words: ['--init'] });
  expect((await serving.end('SIGTERM')).code).toBe(0);
  for (const name of [...NAMES, 'bundle'])
    expect(readFileSync(home.pem(name), 'utf8')).toContain('BEGIN CERTIFICATE');
});
