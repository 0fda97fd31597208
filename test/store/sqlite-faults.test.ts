import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFile } from '../../src/store/sqlite/connection.ts';
import type { CommitFacts } from '../../src/store/sqlite/group-commit.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { allPages, coded } from './reading.ts';
import { audit, device, hashOf, reservation, serialOf } from './samples.ts';
import { startChild } from './start-child.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'birthmark-faults-'));
  path = join(folder, 'ledger.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

const own = (serialNumber: string) => ({ namespace: 'own', serialNumber });
const large = (name: string) => reservation(name, { tbs: Buffer.alloc(100_000) });

describe('a full disk', () => {
  it('fails the writes that do not fit, leaves nothing of them, and is over when there is room again', async () => {
    const connections: Database.Database[] = [];
    const openConnection: typeof openFile = (file, options) => {
      const db = openFile(file, options);
      connections.push(db);
      return db;
    };
    const ledger = openLedger({ path, openConnection });
    await ledger.write((tx) => tx.addDevices([device('SN-0')]));
    const pages = Number(connections[0]?.pragma('page_count', { simple: true }));
    connections[0]?.pragma(`max_page_count = ${pages + 4}`);

    const write = () =>
      ledger.write(async (tx) => {
        await tx.addDevices([device('SN-1')]);
        await tx.reserve([large('SN-1')]).catch(() => []);
        // By now SQLite has given up the transaction: this must not stay by itself.
        await tx.appendAudit([audit('SN-1')]);
      });
    const beside = ledger.write((tx) => tx.addDevices([device('SN-2')]));
    const outcomes = await Promise.allSettled([beside, write()]);
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: coded('ledger-full') });
    const [zero, one, two] = await ledger.read.findDevices([own('SN-0'), own('SN-1'), own('SN-2')]);
    expect((await ledger.read.listAudit({ limit: 10 })).items).toEqual([]);
    expect(zero).toBeDefined();
    expect(one).toBeUndefined();
    expect(two !== undefined).toBe(outcomes[0].status === 'fulfilled');

    connections[0]?.pragma('max_page_count = 1000000');
    await write();
    expect(await ledger.read.findBySerial(serialOf('SN-1'))).toBeDefined();
    ledger.close();
  });
});

describe('a ledger that another process holds', () => {
  it('fails a write with ledger-busy, reads go on, and the write succeeds when it is tried again', async () => {
    const ledger = openLedger({ path, busyTimeoutMs: 100 });
    await ledger.write((tx) => tx.addDevices([device('SN-0')]));
    const holder = startChild('holdLedger', path);
    expect(await holder.nextFact()).toBe('held');
    const write = () => ledger.write((tx) => tx.addDevices([device('SN-1')]));
    await expect(write()).rejects.toEqual(coded('ledger-busy'));
    expect(await ledger.read.findDevices([own('SN-0'), own('SN-1')])).toMatchObject([own('SN-0'), undefined]);
    await holder.kill();
    await write();
    expect(await ledger.read.findDevices([own('SN-1')])).toMatchObject([own('SN-1')]);
    ledger.close();
  });

  it('is waited for without stopping this process', async () => {
    const ledger = openLedger({ path, busyTimeoutMs: 20_000 });
    const holder = startChild('holdLedger', path);
    await holder.nextFact();
    let written = false;
    const writing = ledger
      .write((tx) => tx.addDevices([device('SN-1')]))
      .then(() => {
        written = true;
      });
    for (let turn = 0; turn < 1000; turn += 1) await setImmediate();
    expect(written).toBe(false);
    await holder.kill();
    await writing;
    ledger.close();
  });

  it('refuses the works that wait when it is closed', async () => {
    const ledger = openLedger({ path, busyTimeoutMs: 20_000 });
    const holder = startChild('holdLedger', path);
    await holder.nextFact();
    const writing = ledger.write((tx) => tx.addDevices([device('SN-1')]));
    await setImmediate();
    ledger.close();
    await expect(writing).rejects.toEqual(coded('unavailable'));
    await holder.kill();
  });
});

describe('several processes', () => {
  it('may open a fresh ledger at once, and never take a number twice', async () => {
    const children = ['a', 'b', 'c'].map((name) => startChild('takeNumbers', path, name));
    const numbers = (await Promise.all(children.map((child) => child.facts()))).flat();
    expect(numbers).toHaveLength(150);
    expect(new Set(numbers).size).toBe(150);
  });

  it('killed while they write lose nothing that they were told is written, and leave nothing half done', async () => {
    const told: string[] = [];
    const writers = ['a', 'b'].map((name) => startChild('writeForEver', path, name));
    await Promise.all(
      writers.map(async (writer) => {
        for (let count = 0; count < 40; count += 1) told.push((await writer.nextFact()) ?? '');
        await writer.kill();
        told.push(...(await writer.facts()));
      }),
    );
    const ledger = openLedger({ path });
    const devices = await allPages((page) => ledger.read.searchDevices(page), { limit: 1000 });
    const names = devices.map(({ serialNumber }) => serialNumber);
    expect(told.length).toBeGreaterThanOrEqual(80);
    expect(names).toEqual(expect.arrayContaining(told));
    expect(await ledger.read.findByDevices(devices.map(({ id }) => id))).toHaveLength(names.length);
    expect(await ledger.read.findKeys(names.map(hashOf))).not.toContain(undefined);
    const subjects = await allPages((page) => ledger.read.listAudit(page), { limit: 1000 });
    expect(subjects.map(({ subject }) => subject).sort()).toEqual(names.sort());
    ledger.close();
  });
});

describe('the file', () => {
  it('belongs to its owner alone', () => {
    const ledger = openLedger({ path });
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o777).toBe(0o600);
    ledger.close();
  });

  it('is refused with ledger-failed when it is damaged', async () => {
    const ledger = openLedger({ path });
    const rows = Array.from({ length: 200 }, (_, at) => `SN-${at}`);
    await ledger.write((tx) => tx.addDevices(rows.map((name) => device(name))));
    await ledger.write((tx) => tx.appendAudit(rows.map((name) => audit(name))));
    ledger.close();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, bytes.length - 4 * 4096);
    writeFileSync(path, bytes);
    const damaged = openLedger({ path });
    await expect(damaged.read.listAudit({ limit: 10 })).rejects.toEqual(coded('ledger-failed'));
    const write = damaged.write((tx) => tx.appendAudit([audit('SN-new')]));
    await expect(write).rejects.toEqual(coded('ledger-failed'));
    damaged.close();
    bytes.fill(0xa5, 4096);
    writeFileSync(path, bytes);
    expect(() => openLedger({ path })).toThrow(coded('ledger-failed'));
  });

  it('is refused with ledger-failed when it is no ledger', () => {
    writeFileSync(path, 'not a database, but long enough to be taken for one. '.repeat(100));
    expect(() => openLedger({ path })).toThrow(coded('ledger-failed'));
    const foreign = join(folder, 'foreign.db');
    new Database(foreign).exec('CREATE TABLE theirs (x)').close();
    expect(() => openLedger({ path: foreign })).toThrow(coded('ledger-failed'));
    expect(() => openLedger({ path: join(folder, 'nowhere', 'ledger.db') })).toThrow(coded('ledger-failed'));
  });

  it('is refused with ledger-newer when a newer program wrote it', () => {
    openLedger({ path }).close();
    const db = new Database(path);
    db.pragma('user_version = 999');
    db.close();
    expect(() => openLedger({ path })).toThrow(coded('ledger-newer'));
  });
});

it('syncs once for all works that arrive together', async () => {
  const commits: CommitFacts[] = [];
  const ledger = openLedger({ path, onCommit: (facts) => commits.push(facts) });
  await Promise.all(
    Array.from({ length: 20 }, (_, at) => ledger.write((tx) => tx.addDevices([device(`SN-${at}`)]))),
  );
  expect(commits.reduce((sum, { works }) => sum + works, 0)).toBe(20);
  expect(commits.length).toBeLessThan(10);
  ledger.close();
});
