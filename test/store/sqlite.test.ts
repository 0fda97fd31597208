import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { ledgerContract } from './ledger-contract.ts';
import { device } from './samples.ts';

describe('the ledger in SQLite', () => {
  ledgerContract(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-ledger-'));
    return {
      open: async () => openLedger({ path: join(folder, 'ledger.db') }),
      remove: async () => rmSync(folder, { recursive: true }),
    };
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
