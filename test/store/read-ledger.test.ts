import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { readLedger } from '../../src/store/sqlite/read-ledger.ts';
import { verifyRecord } from '../../src/store/sqlite/record/verify-record.ts';
import { makeOlderLedger, NEWEST_OLD_SHAPE } from './older-shape.ts';
import { coded } from './reading.ts';
import { device } from './samples.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'birthmark-read-'));
  path = join(folder, 'ledger.db');
});
afterEach(() => rmSync(folder, { recursive: true }));
const key = { namespace: 'own', serialNumber: 'SN-1' };

it('reads what another one writes meanwhile, and writes nothing into the file', async () => {
  const ledger = openLedger({ path });
  const looked = readLedger(path);
  await ledger.write((tx) => tx.addDevices([device('SN-1')]));
  expect(await looked.read.findDevices([key])).toMatchObject([key]);
  looked.close();
  await expect(looked.read.findDevices([key])).rejects.toEqual(coded('unavailable'));
  ledger.close();
});

it('leaves what a killed process left in the log where it is', async () => {
  const ledger = openLedger({ path });
  await ledger.write((tx) => tx.addDevices([device('SN-1')]));
  const killed = join(folder, 'killed.db');
  for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${killed}${end}`);
  ledger.close();
  const before = [readFileSync(killed), readFileSync(`${killed}-wal`)];
  const looked = readLedger(killed);
  expect(await looked.read.findDevices([key])).toMatchObject([key]);
  looked.close();
  expect([readFileSync(killed), readFileSync(`${killed}-wal`)]).toEqual(before);
});

it.each([1, NEWEST_OLD_SHAPE])('refuses a ledger of shape %i, and leaves it so', (shape) => {
  makeOlderLedger(path, shape);
  const before = readFileSync(path);
  expect(() => readLedger(path)).toThrow(coded('ledger-older'));
  expect(() => readLedger(path)).toThrow(/make a backup of it, then start this version once/);
  const record = join(folder, 'ledger.record');
  expect(() => verifyRecord({ ledger: path, record, full: true })).toThrow(coded('ledger-older'));
  expect(readFileSync(path)).toEqual(before);
});

it('refuses a ledger of a newer shape, an empty one, a foreign one and none', () => {
  openLedger({ path }).close();
  const db = new Database(path);
  db.pragma('user_version = 999');
  db.close();
  expect(() => readLedger(path)).toThrow(coded('ledger-newer'));
  const empty = join(folder, 'empty.db');
  new Database(empty).exec('VACUUM').close();
  expect(() => readLedger(empty)).toThrow(coded('ledger-failed'));
  const foreign = join(folder, 'foreign.db');
  new Database(foreign).exec('CREATE TABLE theirs (x)').close();
  expect(() => readLedger(foreign)).toThrow(coded('ledger-failed'));
  expect(() => readLedger(join(folder, 'none.db'))).toThrow(coded('ledger-failed'));
});
