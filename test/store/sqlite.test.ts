import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { ledger as firstShape } from '../../src/store/sqlite/migrations/0001-ledger.ts';
import { trust as secondShape } from '../../src/store/sqlite/migrations/0002-trust.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { ledgerContract } from './ledger-contract.ts';
import { device, hashOf, NOW } from './samples.ts';

describe('the ledger in SQLite', () => {
  ledgerContract(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-ledger-'));
    return {
      open: async () => openLedger({ path: join(folder, 'ledger.db') }),
      remove: async () => rmSync(folder, { recursive: true }),
    };
  });

  describe('with a record beside it', () => {
    ledgerContract(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'birthmark-ledger-'));
      const record = { path: join(folder, 'ledger.record'), clock: () => NOW };
      return {
        open: async () => openLedger({ path: join(folder, 'ledger.db'), record }),
        remove: async () => rmSync(folder, { recursive: true }),
      };
    });
  });

  it('of the first shape gets the newest one, and keeps all that it had', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-ledger-'));
    const path = join(folder, 'ledger.db');
    const old = new Database(path);
    old.pragma('journal_mode = WAL');
    old.exec(firstShape);
    old.pragma(`application_id = ${0x424d524b}`);
    old.pragma('user_version = 1');
    old.exec(
      `INSERT INTO devices (namespace, serial_number, state, created_at) VALUES ('own', 'SN-1', 'enrolled', ${NOW})`,
    );
    old.close();
    for (const opened of ['first', 'again']) {
      const upgraded = openLedger({ path });
      expect(await upgraded.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }])).toMatchObject([
        { state: 'enrolled', createdAt: NOW },
      ]);
      expect(await upgraded.read.listTrustedCas()).toHaveLength(opened === 'first' ? 0 : 1);
      await upgraded.write(async (tx) => {
        if (opened === 'again') return;
        await tx.addTrustedCa({
          namespace: 'acme',
          certificate: Buffer.from('certificate'),
          fingerprint: hashOf('certificate'),
          validity: 'all',
          addedAt: NOW,
          addedBy: 'system',
        });
      });
      upgraded.close();
    }
    rmSync(folder, { recursive: true });
  });

  it('of the second shape keeps its lists, which tell no change yet', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-ledger-'));
    const path = join(folder, 'ledger.db');
    const old = new Database(path);
    old.pragma('journal_mode = WAL');
    old.exec(firstShape);
    old.exec(secondShape);
    old.pragma(`application_id = ${0x424d524b}`);
    old.pragma('user_version = 2');
    old.exec(
      `INSERT INTO crls (authority, scope, number, this_update, next_update, crl)
       VALUES ('idevid', 'full', 7, ${NOW}, ${NOW + 1}, x'0102')`,
    );
    old.close();
    const upgraded = openLedger({ path });
    expect(await upgraded.read.findCrl('idevid', 'full')).toEqual({
      authority: 'idevid',
      scope: 'full',
      number: 7,
      thisUpdate: NOW,
      nextUpdate: NOW + 1,
      modifiedAt: NOW,
      changes: 0,
      endedBefore: 0,
      idp: false,
      size: 2,
      crl: Buffer.from('0102', 'hex'),
    });
    expect(await upgraded.read.lastStatusChange()).toBe(0);
    upgraded.close();
    rmSync(folder, { recursive: true });
  });

  it('is another one each time it is opened in memory', async () => {
    const [one, two] = [openLedger({ path: ':memory:' }), openLedger({ path: ':memory:' })];
    await one.write((tx) => tx.addDevices([device('SN-1')]));
    const key = { namespace: 'own', serialNumber: 'SN-1' };
    expect(await one.read.findDevices([key])).toMatchObject([{ serialNumber: 'SN-1' }]);
    expect(await two.read.findDevices([key])).toEqual([undefined]);
    one.close();
    two.close();
  });
});
