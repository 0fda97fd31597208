import { X509Certificate } from 'node:crypto';
import { copyFileSync, cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { openLedger } from '../../../src/store/sqlite/open-ledger.ts';
import { runProgram } from '../run-program.ts';
import { type AnswerLine, createClient, readLines } from './client.ts';
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
  const key = { keyout: path.join(folder.path, 'r.key'), csr: path.join(folder.path, 'r.csr') };
  await openssl('req', '-new', ...EC_KEY, '-keyout', key.keyout, '-out', key.csr, '-subj', '/');
  const words = ['--profile', 'ldevid', '--serial-number', 'R-1', '--csr', key.csr, '--chain'];
  await must(later, ['issue', ...words, '--out', path.join(folder.path, 'r.pem')]);
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

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Renews the certificate of R-1 with a new key, as a device does: at EST, showing the one it has. */
async function renew(home: Home, serving: Serving): Promise<string> {
  const at = (name: string) => path.join(folder.path, name);
  const subject = new X509Certificate(readFileSync(at('r.pem'))).subject.split('\n').join('/');
  await openssl(
    'req',
    '-new',
    ...EC_KEY,
    '-keyout',
    at('n.key'),
    '-out',
    at('n.csr'),
    '-subj',
    `/${subject}`,
  );
  writeFileSync(at('n.b64'), readFileSync(at('n.csr'), 'utf8').replace(/-----[^-]+-----\n/g, ''));
  const shows = ['--cert', at('r.pem'), '--key', at('r.key'), '--cacert', home.pem('root')];
  const body = ['-H', 'Content-Type: application/pkcs10', '--data-binary', `@${at('n.b64')}`];
  const url = `${serving.tlsUrl.replace('127.0.0.1', 'localhost')}/.well-known/est/simplereenroll`;
  const { out } = await runProgram('curl', [
    '-s',
    '-o',
    at('n.p7'),
    '-w',
    '%{http_code}',
    ...shows,
    ...body,
    url,
  ]);
  return out;
}

const epochOf = (home: Home) => readLedger(home, (read) => read.statusEpoch());
const numbersOf = (home: Home) =>
  readLedger(
    home,
    async (read) => new Map((await read.listCrls('idevid')).map(({ scope, number }) => [scope, number])),
  );
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
    expect(out).toMatch(/5 devices, \d+ certificates, 1 revocations/);
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
    for (const number of (await numbersOf(fresh)).values()) expect(number).toBeGreaterThan(1_000_000);
    await issue(fresh, serving, makeDevices('N', 1));
    expect((await serving.end('SIGTERM')).code).toBe(0);
    expect(await must(fresh, ['audit', 'verify'], { env })).toContain('begun anew');
  });
});

test('an old backup under the newer record: what was revoked stays so everywhere, and what came after is known', async () => {
  const home = copyHome(later, folder);
  const [numbers, epoch, statuses] = [await numbersOf(home), await epochOf(home), await statusesOf(home)];
  const [change] = await readLedger(home, (read) => read.listStatusChanges(0, 9));
  const shard = String(change?.shard);
  expect([statuses.get('A-1'), statuses.get('Z-1')]).toEqual(['revoked', 'good']);
  const out = await must(home, ['restore', backup]);
  expect(out).toMatch(/3 certificates and 1 changes of status that came after the backup/);
  expect(out).toMatch(/ledger\.db\.before-restore-/);

  const serving = await serve(home);
  expect(await statusesOf(home)).toEqual(statuses);
  expect(await epochOf(home)).not.toBe(epoch);
  const now = await numbersOf(home);
  for (const [scope, number] of numbers) expect(now.get(scope)).toBeGreaterThanOrEqual(number);
  expect(now.get(shard)).toBeGreaterThan(numbers.get(shard) ?? 0);
  const answers = await issue(home, serving, [...before.slice(1), ...after]);
  await readLedger(home, async (read) => {
    for (const { certificate = '' } of answers)
      expect(await faultOf(read, home, certificate)).toBeUndefined();
  });
  const serials = new Map(answers.map(({ serialNumber = '', serial = '' }) => [serialNumber, serial]));
  const revoked = Buffer.from(change?.serial ?? []).toString('hex');
  const good = serials.get('Z-2') ?? '';
  const list = path.join(folder.path, 'restored.crl');
  const published = await fetch(`${serving.publicUrl}/crl/idevid/${shard}.crl`);
  writeFileSync(list, Buffer.from(await published.arrayBuffer()));
  const told = await openssl('crl', '-inform', 'DER', '-in', list, '-noout', '-text');
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
  expect(await renew(home, serving)).toBe('200');
  const blocked = createClient(home, serving);
  const [refused] = readLines(await blocked.batch(token, before.slice(0, 1), { profile: 'ldevid' }));
  blocked.close();
  expect(refused?.error?.code).toBe('key-blocked');
  expect((await serving.end('SIGTERM')).code).toBe(0);
  const doctor = await birthmark(home, ['doctor', '--full']);
  expect([doctor.status, doctor.out]).toEqual([0, expect.not.stringContaining('failed')]);
});

test.concurrent.each([
  ['a whole ledger', false],
  ['a damaged ledger', true],
])(
  'a restore over %s, killed before each of its steps, leaves one of the two ledgers, and the next one ends it',
  async (_what, damaged) => {
    const facts = await statusesOf(later);
    let kills = 0;
    for (let step = 1; ; step += 1) {
      const home = copyHome(later, folder);
      if (damaged) writeFileSync(home.ledger, Buffer.alloc(8192, 'garbage'));
      const env = { NODE_OPTIONS: `--import=${DYING_RESTORE}`, DIE_BEFORE: String(step) };
      const { status } = await birthmark(home, ['restore', backup], { env });
      if (status === 0) break;
      kills += 1;
      if (!readFileSync(home.ledger).subarray(0, 7).equals(Buffer.from('garbage')))
        openLedger({
          path: home.ledger,
          record: { path: `${home.path}/ledger.record`, clock: Date.now },
        }).close();
      else expect(damaged).toBe(true);
      await must(home, ['restore', backup]);
      await readLedger(home, async (read) => {
        expect((await read.findDevices([{ namespace: 'own', serialNumber: 'Z-2' }]))[0]).toBeDefined();
        expect(await read.lastStatusChange()).toBe(1);
      });
      expect(readdirSync(home.path).filter((name) => name.includes('restoring'))).toEqual([]);
      if (step !== 3) continue;
      const serving = await serve(home);
      await serving.end('SIGTERM');
      expect(await statusesOf(home)).toEqual(facts);
    }
    expect(kills).toBeGreaterThan(4);
  },
);

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
    const left: AnswerLine[] = [];
    // A batch is one frame at least.
    for (let at = 0; at < devices.length; at += 40)
      left.push(...readLines(await client.batch(token, devices.slice(at, at + 40))));
    client.close();
    expect((await dying.ended).signal).toBe('SIGKILL');
    const serving = await serve(home);
    const all = await issue(home, serving, devices);
    const byDevice = new Map(all.map((line) => [line.serialNumber, line.certificate]));
    for (const { serialNumber, certificate } of left)
      if (certificate !== undefined) expect(byDevice.get(serialNumber)).toBe(certificate);
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
    for (const words of [[backup], ['--begin-record']]) {
      const { status, err } = await birthmark(home, ['restore', ...words]);
      expect([status, err]).toEqual([1, expect.stringContaining('[home-in-use]')]);
    }
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
    const words = [
      ['doctor', '--full'],
      ['audit', 'verify'],
    ] as const;
    for (const { status, out } of await Promise.all(words.map((one) => birthmark(home, one))))
      expect([status, out]).toEqual([1, expect.stringMatching(/^failed {3}.*record/m)]);
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
    const tampered = [
      ['DELETE FROM status_changes', /does not have change 1/],
      ['DELETE FROM revocations', /as good, and its last change as revoked/],
      [`UPDATE certificates SET tbs = x'00' WHERE holder = 'Z-1'`, /other octets of/],
      [`UPDATE crl_numbers SET number = 0`, /has not taken number/],
    ] as const;
    for (const [statement, finding] of tampered) {
      const home = copyHome(later, folder);
      const db = new Database(home.ledger);
      db.exec(statement);
      db.close();
      const { status, out } = await birthmark(home, ['audit', 'verify']);
      expect([status, out]).toEqual([1, expect.stringMatching(finding)]);
    }
    const home = copyHome(later, folder);
    const db = new Database(home.ledger);
    db.exec('DELETE FROM revocations');
    db.close();
    expect((await worst(home)).failed).toContain('record');
  });
});
