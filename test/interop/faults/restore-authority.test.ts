// Backups that are older than an authority.
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { runProgram } from '../run-program.ts';
import { birthmark, must } from './command.ts';
import { copyHome, makeFolder, makeServedHome } from './home.ts';

const folder = makeFolder();
let backup = '';
let newer = '';
/** Rotated after the backup, with a device under the new authority. */
let rotated: Home;

beforeAll(async () => {
  rotated = await makeServedHome(folder);
  backup = `${folder.fresh('file')}.backup`;
  await must(rotated, ['backup', backup]);
  await must(rotated, ['authority', 'rotate', 'ldevid', '--activate', 'now']);
  const [key, csr] = [path.join(folder.path, 'd.key'), path.join(folder.path, 'd.csr')];
  const words = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await runProgram('openssl', [...words, '-keyout', key, '-out', csr, '-subj', '/']);
  const out = path.join(folder.path, 'd.pem');
  await must(rotated, ['issue', '--profile', 'ldevid', '--serial-number', 'D-1', '--csr', csr, '--out', out]);
  newer = `${folder.fresh('file')}.backup`;
  await must(rotated, ['backup', newer]);
}, 60_000);
afterAll(() => folder.remove());

const statesOf = async (home: Home): Promise<readonly string[]> => {
  const items: { name: string; state: string }[] = JSON.parse(
    await must(home, ['authority', 'list', '--json']),
  );
  return items.map(({ name, state }) => `${name} ${state}`);
};
const AFTER = ['root current', 'idevid current', 'ldevid former', 'service current', 'ldevid-2 current'];

test('a backup made after the rotation has its key', async () => {
  const home = homeAt(folder.fresh());
  await must(home, ['restore', newer]);
  // What is in no backup.
  for (const file of ['keys/passphrase', 'ledger.record'])
    copyFileSync(path.join(rotated.path, file), path.join(home.path, file));
  expect(await statesOf(home)).toEqual(AFTER);
});

test('an authority that was made since comes back from the record, with its certificates', async () => {
  const home = copyHome(rotated, folder);
  await must(home, ['restore', backup]);
  expect(await statesOf(home)).toEqual(AFTER);
  const shown = JSON.parse(await must(home, ['authority', 'show', 'ldevid-2', '--json']));
  expect(shown.standing.certificates).toBe(1);
  await must(home, ['audit', 'verify']);
});

test('is not restored without its key, and nothing is changed', async () => {
  const home = copyHome(rotated, folder);
  rmSync(home.key('ldevid-2'));
  const before = readFileSync(home.ledger);
  const { status, err } = await birthmark(home, ['restore', backup]);
  expect([status, err]).toEqual([1, expect.stringMatching(/keys\/ldevid-2\.key.*\[backup-invalid\]/s)]);
  expect(readFileSync(home.ledger)).toEqual(before);
});

test('is not forgotten silently where the record is lost too, and is where that is accepted', async () => {
  const home = copyHome(rotated, folder);
  rmSync(path.join(home.path, 'ledger.record'));
  const words = ['restore', backup, '--begin-record'];
  const { status, err } = await birthmark(home, words);
  expect([status, err]).toEqual([1, expect.stringMatching(/--lose-authority ldevid-2 \[backup-invalid\]/)]);
  await must(home, [...words, '--lose-authority', 'ldevid-2']);
  expect(await statesOf(home)).toEqual(AFTER.slice(0, 4).map((text) => text.replace('former', 'current')));
});
