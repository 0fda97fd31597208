import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { openLedger } from '../../../src/store/sqlite/open-ledger.ts';
import { runProgram } from '../run-program.ts';
import { createClient, readLines } from './client.ts';
import { birthmark, must } from './command.ts';
import { type Device, makeDevices } from './devices.ts';
import { copyHome, makeFolder, makeServedHome, makeToken } from './home.ts';
import { countIssued, faultOf, findToken, listIssued, readLedger } from './ledger-facts.ts';
import { type Serving, serve } from './serving.ts';

const DYING_RESTORE = new URL('dying-restore.ts', import.meta.url).href;
const DYING_RECORD = new URL('../../store/dying-record.ts', import.meta.url).href;
const folder = makeFolder();
let template: Home;
let token = '';
/** Two devices with certificates, and a backup of that. */
let before: Device[] = [];
/** What came after the backup: two more, and the first one's revocation. */
let after: Device[] = [];
let backup = '';
let later: Home;

beforeAll(async () => {
  template = await makeServedHome(folder);
  token = await makeToken(template);
  before = makeDevices('A', 2);
  after = makeDevices('Z', 2);
  later = copyHome(template, folder);
  const serving = await serve(later);
  await issue(later, serving, before);
  backup = `${folder.fresh('file')}.backup`;
  await must(later, ['backup', backup]);
  await issue(later, serving, after);
  await must(later, ['revoke', '--device', 'A-1', '--reason', 'keyCompromise']);
  await serving.end('SIGTERM');
});
afterAll(() => folder.remove());

async function issue(home: Home, serving: Serving, devices: readonly Device[]) {
  const client = createClient(home, serving);
  const lines = readLines(await client.batch(token, devices));
  client.close();
  expect(lines.map(({ error }) => error)).toEqual(devices.map(() => undefined));
  return lines;
}

async function statusesOf(home: Home): Promise<Map<string, string>> {
  return readLedger(home, async (read) => {
    const issued = await listIssued(read);
    const statuses = await Promise.all(
      issued.map(({ authority, serial }) => read.findStatuses(authority, [serial])),
    );
    return new Map(issued.map(({ holder }, at) => [holder, statuses[at]?.[0]?.status ?? '']));
  });
}

const epochOf = (home: Home) => readLedger(home, (read) => read.statusEpoch());
const numberOf = (home: Home) =>
  readLedger(home, async (read) => (await read.findCrl('idevid', 'full'))?.number ?? 0);
const openssl = async (...words: readonly string[]) => {
  const { status, out, err } = await runProgram('openssl', words);
  expect([status, err]).toEqual([0, expect.any(String)]);
  return out;
};

describe('a backup', () => {
  test('is one file of its owner, says what is in it, and has no passphrase unless it is asked for', async () => {
    const home = copyHome(later, folder);
    const file = `${folder.fresh('file')}.backup`;
    const out = await must(home, ['backup', file]);
    expect(out).toMatch(/2\.\d|0\.\d MiB, mode 0600/);
    expect(out).toMatch(/4 devices, \d+ certificates, 1 revocations/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const passphrase = readFileSync(`${home.keys}/passphrase`, 'utf8').trim();
    expect(readFileSync(file).includes(passphrase)).toBe(false);
    const again = await birthmark(home, ['backup', file]);
    expect([again.status, again.err]).toEqual([1, expect.stringContaining('[already-exists]')]);
    const forced = await birthmark(home, ['backup', file, '--force', '--with-passphrase']);
    expect([forced.status, forced.err]).toEqual([
      0,
      expect.stringContaining('whoever has this file has the keys'),
    ]);
    expect(readFileSync(file).includes(passphrase)).toBe(true);
  });

  test('taken while a batch is under way restores into an empty folder, where nothing is served without a record', async () => {
    const home = copyHome(template, folder);
    const serving = await serve(home);
    const client = createClient(home, serving);
    const devices = makeDevices('U', 1500);
    const begun = Promise.withResolvers<void>();
    const underWay = client.batch(token, devices, { onPart: () => begun.resolve() });
    await begun.promise;
    const file = `${folder.fresh('file')}.backup`;
    await must(home, ['backup', file, '--with-passphrase']);
    const lines = readLines(await underWay);
    expect(lines.filter(({ certificate }) => certificate !== undefined)).toHaveLength(1500);
    client.close();
    await serving.end('SIGTERM');

    const fresh = homeAt(folder.fresh('restored'));
    const restored = await birthmark(fresh, ['restore', file]);
    expect([restored.status, restored.err]).toEqual([0, expect.stringContaining('the record is not there')]);
    const refused = await birthmark(fresh, ['serve', '--public-port', '0', '--tls-port', '0']);
    expect([refused.status, refused.err]).toEqual([1, expect.stringContaining('[record-missing]')]);

    // With its record, put back from the other disk, nothing is lost.
    copyFileSync(`${home.path}/ledger.record`, `${fresh.path}/ledger.record`);
    const whole = await serve(fresh);
    const again = createClient(fresh, whole);
    const answered = readLines(await again.batch(token, devices));
    again.close();
    expect(answered.map(({ serial }) => serial)).toEqual(lines.map(({ serial }) => serial));
    await readLedger(fresh, async (read) => {
      const issued = await countIssued(read);
      expect(devices.every(({ serialNumber }) => issued.get(`device:own/${serialNumber}`) === 1)).toBe(true);
      expect((await findToken(read, 'line'))?.used).toBe(1500);
    });
    expect((await whole.end('SIGTERM')).code).toBe(0);
    expect((await birthmark(fresh, ['audit', 'verify'])).status).toBe(0);
  });

  test('without its record is served after --begin-record: numbers of lists are far ahead, the epoch is new', async () => {
    const fresh = homeAt(folder.fresh('restored'));
    const env = { BIRTHMARK_PASSPHRASE: readFileSync(`${later.keys}/passphrase`, 'utf8').trim() };
    const { status, err } = await birthmark(fresh, ['restore', backup, '--begin-record'], { env });
    expect([status, err]).toEqual([0, expect.stringContaining('revoke again')]);
    expect(await epochOf(fresh)).not.toBe(await epochOf(later));
    const serving = await serve(fresh, { env });
    expect(await numberOf(fresh)).toBeGreaterThan(1_000_000);
    await issue(fresh, serving, makeDevices('N', 1));
    expect((await serving.end('SIGTERM')).code).toBe(0);
    expect(await must(fresh, ['audit', 'verify'], { env })).toContain('begun anew');
  });
});

test('an old backup under the newer record: what was revoked stays so everywhere, and what came after is known', async () => {
  const home = copyHome(later, folder);
  const [number, epoch, statuses] = [await numberOf(home), await epochOf(home), await statusesOf(home)];
  expect([statuses.get('A-1'), statuses.get('Z-1')]).toEqual(['revoked', 'good']);
  const out = await must(home, ['restore', backup]);
  expect(out).toMatch(/2 certificates and 1 changes of status that came after the backup/);
  expect(out).toMatch(/ledger\.db\.before-restore-/);

  const serving = await serve(home);
  expect(await statusesOf(home)).toEqual(statuses);
  expect(await epochOf(home)).not.toBe(epoch);
  expect(await numberOf(home)).toBeGreaterThan(number);
  const answers = await issue(home, serving, [...before, ...after]);
  await readLedger(home, async (read) => {
    for (const { certificate = '' } of answers)
      expect(await faultOf(read, home, certificate)).toBeUndefined();
  });
  const serials = new Map(answers.map(({ serialNumber = '', serial = '' }) => [serialNumber, serial]));
  const [revoked = '', good = ''] = [serials.get('A-1'), serials.get('Z-2')];
  const list = path.join(folder.path, 'restored.crl');
  const client = createClient(home, serving);
  const { body } = await client.send(`${serving.publicUrl}/crl/idevid.pem`);
  client.close();
  writeFileSync(list, body);
  const told = await openssl('crl', '-in', list, '-noout', '-text');
  expect(told).toContain(revoked.toUpperCase());
  expect(told).not.toContain(good.toUpperCase());
  const ask = [
    'ocsp',
    '-issuer',
    home.pem('idevid'),
    '-CAfile',
    home.pem('root'),
    '-verify_other',
    home.pem('idevid'),
  ];
  const ocsp = await openssl(
    ...ask,
    '-url',
    `${serving.publicUrl}/ocsp`,
    '-serial',
    `0x${revoked}`,
    '-serial',
    `0x${good}`,
  );
  expect(ocsp).toMatch(new RegExp(`0x${revoked}: revoked`));
  expect(ocsp).toMatch(new RegExp(`0x${good}: good`));
  const blocked = createClient(home, serving);
  const [refused] = readLines(await blocked.batch(token, before.slice(0, 1), { profile: 'ldevid' }));
  blocked.close();
  expect(refused?.error?.code).toBe('key-blocked');
  expect((await serving.end('SIGTERM')).code).toBe(0);
  const doctor = await birthmark(home, ['doctor', '--full']);
  expect([doctor.status, doctor.out]).toEqual([0, expect.not.stringContaining('failed')]);
});

test('a restore killed before each of its steps leaves the old ledger or the new one, and is finished by the next', async () => {
  const facts = await statusesOf(later);
  for (const damaged of [false, true]) {
    let kills = 0;
    for (let step = 1; ; step += 1) {
      const home = copyHome(later, folder);
      if (damaged) writeFileSync(home.ledger, Buffer.alloc(8192, 'garbage'));
      const env = { NODE_OPTIONS: `--import=${DYING_RESTORE}`, DIE_BEFORE: String(step) };
      const { status } = await birthmark(home, ['restore', backup], { env });
      expect(existsSync(home.ledger)).toBe(true);
      if (status === 0) break;
      kills += 1;
      const isOld = readFileSync(home.ledger).subarray(0, 7).toString() === 'garbage';
      if (!isOld) {
        openLedger({
          path: home.ledger,
          record: { path: `${home.path}/ledger.record`, clock: Date.now },
        }).close();
        expect(new Set((await statusesOf(home)).keys())).toEqual(expect.any(Set));
      } else expect(damaged).toBe(true);
      await must(home, ['restore', backup]);
      await must(home, ['token', 'list']);
      const serving = step % 4 === 0 ? await serve(home) : undefined;
      await serving?.end('SIGTERM');
      if (serving) expect(await statusesOf(home)).toEqual(facts);
      expect(readdirSync(home.path).filter((name) => name.includes('restoring'))).toEqual([]);
      rmSync(home.path, { recursive: true });
    }
    expect(kills).toBeGreaterThan(5);
  }
});

test.each([
  ['half', 2],
  ['written', 2],
  ['synced', 2],
  ['synced', 0],
])(
  'a server killed with a frame of the record %s, after %i good ones: nothing is lost and nothing issued twice',
  async (step, times) => {
    const home = copyHome(template, folder);
    const env = { NODE_OPTIONS: `--import=${DYING_RECORD}`, DIE_AT: step, DIE_TIMES: String(times) };
    const dying = await serve(home, { env });
    const devices = makeDevices('K', 200);
    const client = createClient(home, dying);
    const left = readLines(await client.batch(token, devices)).filter(
      (line) => line.certificate !== undefined,
    );
    client.close();
    expect((await dying.ended).signal).toBe('SIGKILL');
    const serving = await serve(home);
    const all = await issue(home, serving, devices);
    const byDevice = new Map(all.map((line) => [line.serialNumber, line.certificate]));
    for (const { serialNumber, certificate } of left) expect(byDevice.get(serialNumber)).toBe(certificate);
    await readLedger(home, async (read) => {
      const issued = await countIssued(read);
      expect(devices.every(({ serialNumber }) => issued.get(`device:own/${serialNumber}`) === 1)).toBe(true);
      expect((await findToken(read, 'line'))?.used).toBe(200);
      expect((await listIssued(read)).filter(({ deviceId }) => deviceId !== null)).toHaveLength(200);
    });
    expect((await serving.end('SIGTERM')).code).toBe(0);
    expect((await birthmark(home, ['audit', 'verify'])).status).toBe(0);
  },
);

describe('is refused, with nothing changed', () => {
  const refuse = async (home: Home, words: readonly string[], code: string) => {
    const ledger = readFileSync(home.ledger);
    const { status, err } = await birthmark(home, words);
    expect([status, err]).toEqual([1, expect.stringContaining(`[${code}]`)]);
    expect(readFileSync(home.ledger).equals(ledger)).toBe(true);
  };

  test('a restore while the home is served', async () => {
    const home = copyHome(later, folder);
    const serving = await serve(home);
    await refuse(home, ['restore', backup], 'home-in-use');
    await refuse(home, ['restore', '--begin-record'], 'home-in-use');
    await serving.end('SIGTERM');
  });

  test('a backup of another home, a damaged one, one of a newer program, a mere ledger, and none', async () => {
    const home = copyHome(later, folder);
    const other = homeAt(folder.fresh('other'));
    await must(other, ['init', '--public-url', 'http://pki.lab.example']);
    const [foreign, damaged, newer] = ['foreign', 'damaged', 'newer'].map(
      (name) => `${folder.fresh(name)}.backup`,
    );
    if (!(foreign && damaged && newer)) throw new Error('no names');
    await must(other, ['backup', foreign]);
    await refuse(home, ['restore', foreign], 'backup-invalid');
    const octets = readFileSync(backup);
    octets.fill(0xa5, 8 * 4096, 12 * 4096);
    writeFileSync(damaged, octets);
    await refuse(home, ['restore', damaged], 'backup-invalid');
    cpSync(backup, newer);
    const db = new Database(newer);
    db.pragma('user_version = 999');
    db.close();
    await refuse(home, ['restore', newer], 'ledger-newer');
    await refuse(home, ['restore', other.ledger], 'backup-invalid');
    await refuse(home, ['restore', path.join(folder.path, 'nowhere')], 'backup-invalid');
  });

  test('a backup under a record that is damaged, and doctor says so too', async () => {
    const home = copyHome(later, folder);
    const record = `${home.path}/ledger.record`;
    const octets = readFileSync(record);
    const at = octets.length - 200;
    octets.writeUInt8(1 ^ octets.readUInt8(at), at);
    writeFileSync(record, octets);
    await refuse(home, ['restore', backup], 'record-broken');
    for (const words of [
      ['doctor', '--full'],
      ['audit', 'verify'],
    ]) {
      const { status, out } = await birthmark(home, words);
      expect([status, out]).toEqual([1, expect.stringMatching(/^failed {3}.*record/m)]);
    }
  });
});

describe('doctor', () => {
  const worst = async (home: Home) => {
    const { status, out } = await birthmark(home, ['doctor', '--full', '--json']);
    const checks = out
      .trimEnd()
      .split('\n')
      .map((line): { name: string; state: string } => JSON.parse(line));
    return { status, failed: checks.filter(({ state }) => state === 'failed').map(({ name }) => name) };
  };

  test('finds a served home well, and what is wrong with one that is not', async () => {
    const home = copyHome(later, folder);
    const serving = await serve(home);
    expect(await worst(home)).toEqual({ status: 0, failed: [] });
    await serving.end('SIGTERM');
    copyFileSync(home.key('ldevid'), home.key('idevid'));
    rmSync(`${home.path}/ledger.record`);
    const db = new Database(home.ledger);
    db.exec(`UPDATE crls SET next_update = this_update WHERE authority = 'ldevid';
      UPDATE latest_reservation SET at = at + 86400000`);
    db.close();
    expect(await worst(home)).toEqual({
      status: 1,
      failed: ['keys/idevid.key', 'record', 'clock', 'lists of ldevid'],
    });
  });

  test('finds a row of the ledger that the record says otherwise about', async () => {
    const home = copyHome(later, folder);
    const db = new Database(home.ledger);
    db.exec('DELETE FROM status_changes');
    db.close();
    expect(await worst(home)).toMatchObject({ status: 1, failed: ['record'] });
    expect((await birthmark(home, ['audit', 'verify'])).out).toMatch(/does not have change 1/);
  });
});
