import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prepareGeneration } from '../../src/ca/rollover/prepare-generation.ts';
import { loadConfig } from '../../src/cli/config/load-config.ts';
import { runDoctor } from '../../src/cli/doctor/run-doctor.ts';
import { homeAt } from '../../src/cli/home.ts';
import { initHome } from '../../src/cli/init-home.ts';
import { openHouse } from '../../src/cli/wire.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { makeOlderLedger, NEWEST_OLD_SHAPE } from '../store/older-shape.ts';

const GIVEN = { BIRTHMARK_PASSPHRASE: 'sixteen letters!' };
const OPTIONS = {
  publicUrl: 'http://pki.lab.example',
  tlsNames: ['localhost'],
  organization: 'Lab',
  algorithm: 'ec-p256',
} as const;

test('looks at a home and changes nothing, and refuses to bring an older ledger to the newest shape', async () => {
  const home = homeAt(join(temporaryFolder(), 'home'));
  await initHome(home, OPTIONS, GIVEN);
  const whole = readFileSync(home.ledger);
  const checks = await runDoctor(home, GIVEN, true);
  expect(checks.filter(({ state }) => state === 'failed')).toEqual([]);
  expect(checks.map(({ name }) => name)).toContain('record');
  expect(readFileSync(home.ledger)).toEqual(whole);

  for (const end of ['', '-wal', '-shm']) rmSync(`${home.ledger}${end}`, { force: true });
  makeOlderLedger(home.ledger, NEWEST_OLD_SHAPE);
  const older = readFileSync(home.ledger);
  const [found] = (await runDoctor(home, GIVEN, true)).filter(({ state }) => state === 'failed');
  expect(found?.detail).toMatch(/make a backup of it, then start this version once.*\[ledger-older\]/);
  expect(readFileSync(home.ledger)).toEqual(older);
});

test('warns of an authority that was prepared and forgotten, and of none that was just prepared', async () => {
  const home = homeAt(join(temporaryFolder(), 'home'));
  await initHome(home, OPTIONS, GIVEN);
  const house = await openHouse(home, loadConfig(home.config), GIVEN);
  try {
    await prepareGeneration(house.rollover, { family: 'ldevid' }, 'operator:anna');
  } finally {
    house.close();
  }
  const foundAfter = async (days: number) =>
    (await runDoctor(home, GIVEN, false, () => Date.now() + days * 86_400_000)).filter(({ name }) =>
      name.startsWith('generation'),
    );
  expect(await foundAfter(29)).toEqual([]);
  expect(await foundAfter(31)).toEqual([
    expect.objectContaining({
      name: 'generation ldevid-2',
      state: 'warning',
      detail: expect.stringContaining('issues nothing yet'),
      todo: expect.stringContaining('birthmark authority retire ldevid-2'),
    }),
  ]);
});
