import { cpSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, test } from 'vitest';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { type AnswerLine, createClient, readLines } from './client.ts';
import { birthmark, must } from './command.ts';
import { type Device, makeDevices } from './devices.ts';
import { makeFolder, makeServedHome, makeToken } from './home.ts';
import { countIssued, faultOf, findToken, listIssued, readLedger } from './ledger-facts.ts';
import { serve } from './serving.ts';
import { canMount, mountSmallDisk, pretendSmallDisk, type SmallDisk } from './small-disk.ts';

const KIB = 1024;
const folder = makeFolder();
let disk: SmallDisk | undefined;

/** Root may mount one, and on many machines anybody in a namespace of his own; elsewhere the ledger's size is capped. */
const mountable = await canMount();

afterAll(() => {
  disk?.remove();
  folder.remove();
});

/** A copy of the home on the disk: SQLite does not open a file through another process's view. */
function takeCopy({ seenFromOutside }: SmallDisk): Home {
  const copy = folder.fresh('copy');
  cpSync(seenFromOutside, copy, {
    recursive: true,
    filter: (source) => !/\.sock$|-shm$|filler$/.test(source),
  });
  return homeAt(copy);
}

const told = (err: string) => err.split('\n').filter((line) => line !== '' && !line.startsWith('{'));

describe('a full disk', () => {
  if (mountable) {
    test('stops `init` with one line wherever it meets it, and the next one finishes the home', async () => {
      const home = homeAt(folder.fresh());
      disk = await mountSmallDisk(home.path, 4096 * KIB);
      const { under } = disk;
      for (const free of [0, 8, 24, 80, 200].map((kib) => kib * KIB)) {
        disk.fill(free);
        const { status, err } = await birthmark(home, ['init'], { under });
        expect(told(err)).toEqual([expect.stringMatching(/^birthmark: .*(make room|full).*\]$/)]);
        expect(status).toBe(1);
      }
      disk.empty();
      await must(home, ['init'], { under });
      const names = await readLedger(takeCopy(disk), async (read) =>
        (await read.listAuthorities()).map(({ name }) => name),
      );
      expect(names).toEqual(['root', 'idevid', 'ldevid', 'service']);
      const serving = await serve(home, { under });
      expect((await serving.end('SIGTERM')).code).toBe(0);
      disk.remove();
    });
  }

  test('answers lines with `ledger-full` in their place, leaves nothing half done, and goes on when there is room', async () => {
    const template = await makeServedHome(folder);
    const token = await makeToken(template);
    const home = homeAt(folder.fresh());
    disk = mountable ? await mountSmallDisk(home.path, 8192 * KIB) : pretendSmallDisk(home.path);
    const { under, env } = disk;
    cpSync(template.path, disk.seenFromOutside, { recursive: true });
    const serving = await serve(home, { under, env });
    const client = createClient(template, serving);

    const devices: Device[] = [];
    const codes = new Set<string | undefined>();
    const left: AnswerLine[] = [];
    for (const [at, free] of [96, 48, 16, 0].entries()) {
      disk.fill(free * KIB, serving);
      const some = makeDevices(`F${at}`, 150);
      devices.push(...some);
      const reply = await client.batch(token, some);
      expect([reply.status, reply.broken]).toEqual([200, false]);
      const lines = readLines(reply);
      expect(lines.map(({ serialNumber }) => serialNumber)).toEqual(
        some.map(({ serialNumber }) => serialNumber),
      );
      for (const { error } of lines) codes.add(error?.code);
      left.push(...lines.filter(({ certificate }) => certificate !== undefined));
    }
    expect([...codes].filter((code) => code !== undefined)).toEqual(['ledger-full']);
    // Whoever only reads is answered.
    expect((await client.send(`${serving.publicUrl}/crl/idevid.crl`)).status).toBe(200);
    expect((await client.send(`${serving.publicUrl}/readyz`)).status).toBe(200);
    await readLedger(takeCopy(disk), async (read) => {
      for (const { certificate = '' } of left)
        expect(await faultOf(read, template, certificate)).toBeUndefined();
    });

    disk.empty(serving);
    const all = readLines(await client.batch(token, devices));
    client.close();
    expect(all.map(({ serialNumber, error }) => [serialNumber, error])).toEqual(
      devices.map(({ serialNumber }) => [serialNumber, undefined]),
    );
    const before = new Map(left.map((line) => [line.serialNumber, line]));
    for (const line of all) {
      const earlier = before.get(line.serialNumber);
      if (earlier) expect(line).toEqual(earlier);
    }
    await readLedger(takeCopy(disk), async (read) => {
      expect(await read.findReserved(1)).toEqual([]);
      const issued = await countIssued(read);
      expect(devices.every(({ serialNumber }) => issued.get(`device:own/${serialNumber}`) === 1)).toBe(true);
      const ofDevices = (await listIssued(read)).filter(({ deviceId }) => deviceId !== null);
      expect(ofDevices).toHaveLength(devices.length);
      expect((await findToken(read, 'line'))?.used).toBe(devices.length);
    });
    expect((await serving.end('SIGTERM')).code).toBe(0);

    // A start on a full disk: it serves, or it says what is wrong; with room it serves.
    disk.fill(0);
    const { status, err } = await birthmark(home, ['token', 'list'], { under });
    if (status !== 0) expect(told(err)).toEqual([expect.stringContaining('[ledger-full]')]);
    disk.empty();
    expect(await must(home, ['token', 'list'], { under })).toContain('line');
  });
});

test('a ledger that another process holds: `ledger-busy` in each place, lists all the while, and good again after it', async () => {
  const home = await makeServedHome(folder);
  const token = await makeToken(home);
  const serving = await serve(home);
  const client = createClient(home, serving);
  const devices = makeDevices('L', 3);
  const other = new Database(home.ledger);
  other.exec('BEGIN IMMEDIATE');
  const [reply, command] = await Promise.all([
    client.batch(token, devices),
    birthmark(home, ['ticket', 'create', '--serial-number', 'S-1']),
    client.send(`${serving.publicUrl}/crl/idevid.crl`).then(({ status }) => expect(status).toBe(200)),
    client.send(`${serving.publicUrl}/readyz`).then(({ status }) => expect(status).toBe(200)),
  ]);
  expect(readLines(reply).map(({ error }) => error?.code)).toEqual(devices.map(() => 'ledger-busy'));
  expect([command.status, command.err]).toEqual([
    1,
    expect.stringMatching(/^birthmark: .*\[ledger-busy\]\n$/),
  ]);
  other.exec('ROLLBACK');
  other.close();
  expect(readLines(await client.batch(token, devices)).map(({ error }) => error)).toEqual(
    devices.map(() => undefined),
  );
  client.close();
  expect((await serving.end('SIGTERM')).code).toBe(0);
});
