import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { type AnswerLine, createClient, readLines } from './client.ts';
import { birthmark, must } from './command.ts';
import { type Device, makeDevices } from './devices.ts';
import { copyHome, makeFolder, makeServedHome, makeToken } from './home.ts';
import { countIssued, readLedger } from './ledger-facts.ts';
import { serve } from './serving.ts';
import { canMount, mountSmallDisk, type SmallDisk } from './small-disk.ts';

const KIB = 1024;
const folder = makeFolder();
let disk: SmallDisk | undefined;
afterAll(() => {
  disk?.remove();
  folder.remove();
});

/** Elsewhere the unit tests must do: nothing short of a disk fills up under a file of ours. */
const mountable = await canMount();

test.runIf(mountable)(
  'a full disk under the record alone: `ledger-full`, nothing half done, and good again with room',
  async () => {
    const template = await makeServedHome(folder);
    const token = await makeToken(template);
    const home = copyHome(template, folder);
    const mounted = folder.fresh('disk');
    disk = await mountSmallDisk(mounted, 1024 * KIB);
    const { under, seenFromOutside } = disk;
    // Moving the record to another disk is moving the file and saying so.
    const settings = readFileSync(home.config, 'utf8');
    const record = JSON.stringify(`${mounted}/ledger.record`);
    writeFileSync(home.config, `${settings}\n[ledger]\nrecord = ${record}\n`);
    const unmoved = await birthmark(home, ['token', 'list'], { under });
    expect([unmoved.status, unmoved.err]).toEqual([1, expect.stringContaining('[record-missing]')]);
    writeFileSync(`${seenFromOutside}/ledger.record`, readFileSync(`${home.path}/ledger.record`), {
      mode: 0o600,
    });

    const serving = await serve(home, { under });
    const client = createClient(home, serving);
    const devices: Device[] = [];
    const left: AnswerLine[] = [];
    for (const [at, free] of [24, 8, 0].entries()) {
      disk.fill(free * KIB);
      const some = makeDevices(`F${at}`, 120);
      devices.push(...some);
      left.push(...readLines(await client.batch(token, some)));
    }
    const codes = new Set(left.flatMap(({ error }) => (error ? [error.code] : [])));
    expect([...codes]).toEqual(['ledger-full']);
    const granted = left.filter(({ certificate }) => certificate !== undefined);
    await readLedger(home, async (read) => {
      expect(
        (
          await read.findDevices(devices.map(({ serialNumber }) => ({ namespace: 'own', serialNumber })))
        ).filter((device) => device !== undefined),
      ).toHaveLength(granted.length);
    });

    disk.empty();
    const all = readLines(await client.batch(token, devices));
    client.close();
    const serials = new Map(all.map(({ serialNumber, serial }) => [serialNumber, serial]));
    expect(all.map(({ error }) => error)).toEqual(devices.map(() => undefined));
    for (const { serialNumber, serial } of granted) expect(serials.get(serialNumber)).toBe(serial);
    await readLedger(home, async (read) => {
      const issued = await countIssued(read);
      expect(devices.every(({ serialNumber }) => issued.get(`device:own/${serialNumber}`) === 1)).toBe(true);
    });
    expect((await serving.end('SIGTERM')).code).toBe(0);
    expect(await must(home, ['audit', 'verify'], { under })).toContain('all in the ledger');
    expect(statSync(`${seenFromOutside}/ledger.record`).size).toBeGreaterThan(20 * KIB);
  },
);
