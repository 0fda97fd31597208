import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { keepWalShort } from '../../src/store/sqlite/keep-wal-short.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { device } from './samples.ts';
import { startChild } from './start-child.ts';

const MEBIBYTE = 1024 * 1024;

it('keeps the WAL short while two processes write and read without a break', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-wal-'));
  const path = join(folder, 'ledger.db');
  const ledger = openLedger({ path });
  const errors: unknown[] = [];
  const stop = keepWalShort({
    path,
    everyMs: 50,
    maxWalBytes: 2 * MEBIBYTE,
    onError: (error) => errors.push(error),
  });
  let longest = 0;
  const watch = setInterval(() => {
    longest = Math.max(longest, statSync(`${path}-wal`).size);
  }, 10);
  const writers = ['a', 'b'].map((name) => startChild('hammer', path, name));
  expect(await Promise.all(writers.map((writer) => writer.facts()))).toEqual([['done'], ['done']]);
  clearInterval(watch);
  stop();
  ledger.close();
  expect(errors).toEqual([]);
  expect(statSync(path).size).toBeGreaterThan(48_000_000);
  expect(longest).toBeGreaterThan(0);
  // Without upkeep it grows to what was written, beyond 60 MB.
  expect(longest).toBeLessThan(40 * MEBIBYTE);
  rmSync(folder, { recursive: true });
});

it('is copied into the ledger by a checkpoint', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-wal-'));
  const ledger = openLedger({ path: join(folder, 'ledger.db') });
  await ledger.write((tx) => tx.addDevices([device('SN-1')]));
  const { complete, walBytes } = ledger.checkpoint();
  expect(complete).toBe(true);
  expect(walBytes).toBeGreaterThan(0);
  ledger.close();
  rmSync(folder, { recursive: true });
});
