// Statements of each request that SQLite must not compile anew for each value bound to them, see `connection.ts`.
import { expect, test } from 'vitest';
import { openFile } from '../../src/store/sqlite/connection.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { device, NOW, reservation } from './samples.ts';

const TIMES = 20;

/** How often the driver made a new maker of rows, which it does when it sees that a statement was compiled anew. */
async function compiled(act: () => unknown): Promise<number> {
  const whole = globalThis.Function;
  let made = 0;
  globalThis.Function = new Proxy(whole, {
    apply(target, self, words) {
      made += 1;
      return Reflect.apply(target, self, words);
    },
  });
  try {
    await act();
  } finally {
    globalThis.Function = whole;
  }
  return made;
}

test('the reads of each request are compiled once', async () => {
  const opened: ReturnType<typeof openFile>[] = [];
  const ledger = openLedger({
    path: ':memory:',
    openConnection: (...words) => {
      const db = openFile(...words);
      opened.push(db);
      return db;
    },
  });
  try {
    const [deviceId = 0] = await ledger.write((tx) => tx.addDevices([device('SN-1')]));
    const own = reservation('own', { deviceId });
    const service = reservation('service', { deviceId: null });
    await ledger.write(async (tx) => {
      await tx.claimKeys([{ keyHash: own.keyHash, deviceId }]);
      await tx.reserve([own, service]);
    });
    const reads: readonly (() => Promise<unknown>)[] = [
      () => ledger.read.findBySerial(own.serial),
      () => ledger.read.findByDevices([deviceId]),
      () => ledger.read.findByKey(service.keyHash),
      () => ledger.read.findCredential(own.serial),
      () => ledger.read.findKeys([own.keyHash]),
      () => ledger.read.findDevices([device('SN-1')]),
      () => ledger.read.findDevicesById([deviceId]),
      () => ledger.read.findLifeFacts([deviceId], new Set(['idevid']), NOW),
    ];
    for (const read of reads) {
      const made = await compiled(async () => {
        for (let at = 0; at < TIMES; at += 1) expect(await read()).toMatchObject({});
      });
      expect(made, String(read)).toBeLessThanOrEqual(1);
    }
    // That it would be seen.
    const [db] = opened;
    const plain = db?.prepare(
      'SELECT c.id FROM certificates c JOIN devices d ON d.id = c.device_id WHERE c.serial = ?',
    );
    const made = await compiled(() => {
      for (let at = 0; at < TIMES; at += 1) expect(plain?.get(own.serial)).toEqual({ id: 1 });
    });
    expect(made).toBe(TIMES);
  } finally {
    ledger.close();
  }
});
