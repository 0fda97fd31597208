import { execFileSync } from 'node:child_process';
import fs, {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { restoreLedger } from '../../src/store/sqlite/backup/restore-ledger.ts';
import { writeBackup } from '../../src/store/sqlite/backup/write-backup.ts';
import { openLedger, type SqliteLedger } from '../../src/store/sqlite/open-ledger.ts';
import { makeOlderLedger, NEWEST_OLD_SHAPE } from './older-shape.ts';
import { coded } from './reading.ts';
import { NOW, reservation, revocation, serialOf } from './samples.ts';

let folder: string;
let ledger: string;
let record: string;
let backup: string;

async function within<T>(work: (ledger: SqliteLedger) => Promise<T>): Promise<T> {
  const open = openLedger({ path: ledger, record: { path: record, clock: () => NOW } });
  try {
    return await work(open);
  } finally {
    open.close();
  }
}
const reserve = (name: string) =>
  within((open) => open.write(async (tx) => (await tx.reserve([reservation(name)]))[0] ?? 0));
const restore = (beginRecord: boolean, clock = () => NOW) =>
  restoreLedger({ backup, ledger, record: { path: record, clock }, beginRecord });
const isKnown = (name: string) =>
  within(async ({ read }) => (await read.findBySerial(serialOf(name))) !== undefined);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'birthmark-restore-'));
  ledger = join(folder, 'ledger.db');
  record = join(folder, 'ledger.record');
  backup = join(folder, 'a.backup');
  const id = await reserve('before');
  writeBackup({ ledger, target: backup, files: () => [], madeAt: NOW, program: '0', replace: false });
  await within((open) => open.write((tx) => tx.putRevocations([revocation(id, 'before')])));
  await reserve('after');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a restore', () => {
  test('that is refused since somebody reads the ledger leaves its record as it was', async () => {
    const whole = Buffer.from(readFileSync(record));
    writeFileSync(record, whole.subarray(0, 60));
    const reader = new Database(ledger);
    reader.exec('BEGIN; SELECT count(*) FROM certificates');
    expect(() => restore(true)).toThrow(coded('ledger-busy'));
    reader.close();
    expect(readdirSync(folder).sort()).toEqual(['a.backup', 'ledger.db', 'ledger.record']);
    writeFileSync(record, whole);
    expect(await isKnown('after')).toBe(true);
  }, 20_000);

  test('does not lose what SQLite could not write back when it closed the copy', async () => {
    const copy = `${ledger}.restoring`;
    let held: Database.Database | undefined;
    expect(() =>
      restore(false, () => {
        if (held || !existsSync(copy)) return NOW;
        held = new Database(copy);
        held.exec('BEGIN; SELECT count(*) FROM certificates');
        return NOW;
      }),
    ).toThrow(coded('ledger-busy'));
    held?.close();
    expect(readdirSync(folder).sort()).toEqual(['a.backup', 'ledger.db', 'ledger.record']);
    expect(await isKnown('after')).toBe(true);
  }, 20_000);

  test('under a record that is broken, and begun anew, keeps what came before the break', async () => {
    await reserve('last');
    const whole = readFileSync(record);
    whole.writeUInt8(1 ^ whole.readUInt8(whole.length - 30), whole.length - 30);
    writeFileSync(record, whole);
    copyFileSync(record, join(folder, 'broken'));
    expect(() => restore(false)).toThrow(coded('record-broken'));
    expect(restore(true)).toMatchObject({
      begun: true,
      replayed: { frames: 2, reservations: 1, statuses: 1 },
    });
    expect([await isKnown('after'), await isKnown('last')]).toEqual([true, false]);
    const status = await within(({ read }) => read.findStatuses('idevid', [serialOf('before')]));
    expect(status).toMatchObject([{ status: 'revoked' }]);
  });
});

test('a restore on a disk without hard links keeps the old ledger for itself until the new one is there', async () => {
  const { linkSync, renameSync } = fs;
  const writes = `
    const Database = require('better-sqlite3');
    const db = new Database(process.argv[1], { timeout: 0 });
    try { db.exec('BEGIN IMMEDIATE'); console.log('written'); } catch (error) { console.log(error.code); }`;
  const others: string[] = [];
  Object.assign(fs, {
    linkSync: () => {
      throw Object.assign(new Error('no such thing here'), { code: 'EPERM' });
    },
    renameSync: (from: string, to: string) => {
      if (to === ledger) others.push(execFileSync(process.execPath, ['-e', writes, ledger]).toString());
      renameSync(from, to);
    },
  });
  syncBuiltinESMExports();
  try {
    const { ledgerAside = '' } = restore(false);
    expect(others).toEqual(['SQLITE_BUSY\n']);
    const aside = new Database(ledgerAside, { readonly: true });
    expect(aside.prepare('SELECT count(*) FROM certificates').pluck().get()).toBe(2);
    aside.close();
    expect(statSync(ledgerAside).mode & 0o777).toBe(0o600);
  } finally {
    Object.assign(fs, { linkSync, renameSync });
    syncBuiltinESMExports();
  }
  expect(await isKnown('after')).toBe(true);
});

test('a restore tells of an end of the record that was missing', async () => {
  await reserve('last');
  const whole = readFileSync(record);
  writeFileSync(record, whole.subarray(0, -5));
  const { replayed } = restore(false);
  expect(replayed).toMatchObject({ frames: 2, cut: expect.any(Number) });
  expect(whole.length - readFileSync(record).length).toBe(replayed.cut + 5);
  expect(restore(false).replayed).toMatchObject({ cut: 0 });
});

test.each([1, 2, 3, NEWEST_OLD_SHAPE])(
  'a ledger of shape %i is backed up as it is, and restored in the newest shape',
  async (shape) => {
    for (const path of [ledger, record, `${ledger}-wal`, `${ledger}-shm`]) rmSync(path, { force: true });
    makeOlderLedger(ledger, shape);
    const older = readFileSync(ledger);
    const written = writeBackup({
      ledger,
      target: backup,
      files: () => [],
      madeAt: NOW,
      program: '0',
      replace: true,
    });
    expect(written).toMatchObject({ devices: 1, certificates: 0, revocations: 0, recordSequence: 0 });
    expect(readFileSync(ledger)).toEqual(older);
    expect(restore(false)).toMatchObject({ begun: false, recordMissing: false });
    const found = await within(({ read }) => read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }]));
    expect(found).toMatchObject([{ state: 'enrolled' }]);
  },
);
