import fs, {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renewRecord } from '../../src/store/sqlite/backup/restore-ledger.ts';
import { openFile } from '../../src/store/sqlite/connection.ts';
import { openLedger, type SqliteLedger } from '../../src/store/sqlite/open-ledger.ts';
import { headReader } from '../../src/store/sqlite/record/head.ts';
import { ledgerRecord } from '../../src/store/sqlite/record/ledger-record.ts';
import { verifyRecord } from '../../src/store/sqlite/record/verify-record.ts';
import { coded } from './reading.ts';
import { audit, device, hashOf, NOW, reservation, revocation, serialOf, ticket, token } from './samples.ts';
import { startChild } from './start-child.ts';

const DYING_RECORD = new URL('./dying-record.ts', import.meta.url).href;

let folder: string;
let path: string;
let record: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'birthmark-record-'));
  path = join(folder, 'ledger.db');
  record = join(folder, 'ledger.record');
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (): SqliteLedger => openLedger({ path, record: { path: record, clock: () => NOW } });

/** Opens, works, closes: SQLite leaves one whole file behind. */
async function within<T>(work: (ledger: SqliteLedger) => Promise<T>): Promise<T> {
  const ledger = open();
  try {
    return await work(ledger);
  } finally {
    ledger.close();
  }
}

/** Issues to a device, as the doors do. */
function issue(ledger: SqliteLedger, name: string): Promise<number> {
  return ledger.write(async (tx) => {
    const [deviceId = 0] = await tx.addDevices([device(name, { model: 'M-1' })]);
    await tx.claimKeys([{ keyHash: hashOf(name), deviceId }]);
    const [id = 0] = await tx.reserve([reservation(name, { deviceId, notAfter: NOW + 1000 })]);
    return id;
  });
}

const own = (serialNumber: string) => ({ namespace: 'own', serialNumber });
const copy = (name: string) => copyFileSync(path, join(folder, name));
/** Puts an older ledger in the place of the one that is there. */
const putBack = (name: string) => {
  for (const end of ['-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
  copyFileSync(join(folder, name), path);
};
const frames = (): { sequence: number; previous: string; acts: { act: string }[] }[] =>
  gunzipSync(readFileSync(record))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const audits = async (ledger: SqliteLedger) => (await ledger.read.listAudit({ limit: 1000 })).items;

/** All that must be as it was. */
async function factsOf({ read }: SqliteLedger, ids: readonly number[]) {
  return {
    changes: await read.listStatusChanges(0, 99),
    revocations: await read.findRevocations(ids),
    certificates: await Promise.all(['d', 'host'].map((name) => read.findBySerial(serialOf(name)))),
    devices: await read.findDevices([own('d')]),
    keys: await read.findKeys([hashOf('a'), hashOf('d'), hashOf('host')]),
    tokens: await read.listTokens({ limit: 9 }),
    ticket: await read.findTicket('t'),
  };
}

describe('the record', () => {
  it('is lines of JSON in gzip that its owner alone may read, each with the hash of the one before', async () => {
    await within(async (ledger) => {
      await issue(ledger, 'a');
      await ledger.write((tx) => tx.takeCrlNumber('idevid', 'full'));
      await ledger.write((tx) => tx.appendAudit([audit('nothing of weight')]));
    });
    expect(statSync(record).mode & 0o777).toBe(0o600);
    const all = frames();
    expect(all.map(({ sequence, acts }) => [sequence, acts.map(({ act }) => act)])).toEqual([
      [1, ['begin']],
      [2, ['reserve']],
      [3, ['crlNumber']],
    ]);
    expect(new Set(all.map(({ previous }) => previous)).size).toBe(3);
  });

  it('has one frame of what was committed together, and nothing of a work that failed', async () => {
    await within(async (ledger) => {
      const works = ['a', 'b', 'c'].map((name) =>
        ledger.write(async (tx) => {
          await tx.reserve([reservation(name)]);
          if (name === 'b') throw new Error('no');
        }),
      );
      await Promise.allSettled(works);
    });
    const reserved = frames().flatMap(({ acts }) => acts.filter(({ act }) => act === 'reserve'));
    expect(reserved).toMatchObject([{ holder: 'a' }, { holder: 'c' }]);
  });

  it('is begun for a ledger that is older than it, with its counts', async () => {
    const old = openLedger({ path });
    await issue(old, 'a');
    old.close();
    await within((ledger) => issue(ledger, 'b'));
    expect(frames()[0]).toMatchObject({ acts: [{ act: 'begin', reason: 'late', certificates: 1 }] });
  });

  it('must be there once it was begun: without it nothing of weight is written', async () => {
    await within((ledger) => issue(ledger, 'a'));
    const without = openLedger({ path });
    await expect(issue(without, 'b')).rejects.toEqual(coded('record-missing'));
    expect(await without.read.findDevices([own('a'), own('b')])).toMatchObject([own('a'), undefined]);
    without.close();
  });
});

it('refuses a frame that nobody could read again before anything is written, and goes on', async () => {
  await within(() => Promise.resolve());
  const whole = readFileSync(record);
  const db = openFile(path, { cacheKiB: 1024, busyTimeoutMs: 0, synchronous: 'FULL' });
  const beside = ledgerRecord(db, { path: record, clock: () => NOW });
  const seal = (length: number) => () =>
    db
      .transaction(() => {
        beside.agree();
        beside.note({ act: 'revokeToken', name: 'x'.repeat(length), at: NOW });
        beside.seal();
      })
      .immediate();
  expect(seal(256 * 1024 * 1024)).toThrow(coded('act-too-large'));
  expect(readFileSync(record)).toEqual(whole);
  seal(1024 * 1024)();
  beside.close();
  db.close();
  await within((ledger) => issue(ledger, 'a'));
  expect(verifyRecord({ ledger: path, record, full: true }).findings).toEqual([]);
});

describe('an old copy of the ledger under a record that went on', () => {
  it('gets back what was issued, taken back, held, released, numbered, blocked and used up since', async () => {
    const before = await within(async (ledger) => {
      const ids = [await issue(ledger, 'a'), await issue(ledger, 'b'), await issue(ledger, 'c')];
      await ledger.write(async (tx) => {
        await tx.addToken(token('line', { count: 9 }));
        await tx.addToken(token('gone'));
        await tx.addTicket(ticket('t'));
        await tx.takeCrlNumber('idevid', 'full');
        await tx.putRevocations([revocation(ids[2] ?? 0, 'c', { held: true })]);
        const times = { thisUpdate: NOW, nextUpdate: NOW + 9, endedBefore: 0, idp: false };
        await tx.publishCrl({
          authority: 'idevid',
          scope: 'full',
          number: 1,
          changes: 1,
          crl: Buffer.from('1'),
          ...times,
        });
      });
      return { ids, epoch: await ledger.read.statusEpoch() };
    });
    copy('old');
    const [a = 0, b = 0, c = 0] = before.ids;
    const since = await within(async (ledger) => {
      await issue(ledger, 'd');
      await ledger.write(async (tx) => {
        await tx.putRevocations([
          revocation(a, 'a', { reason: 'keyCompromise', invalidityAt: NOW - 5 }),
          revocation(b, 'b', { held: true }),
        ]);
        await tx.releaseHolds([c], NOW + 1);
        await tx.blockKey(hashOf('a'), 'it got out', NOW);
        await tx.takeCrlNumber('idevid', 'full');
        await tx.takeCrlNumber('ldevid', '7');
        await tx.claimKeys([{ keyHash: hashOf('host'), holder: 'server:host' }]);
        await tx.reserve([reservation('host', { keyHash: hashOf('host'), profile: 'server' })]);
        await tx.countToken(token('line').id, 3);
        await tx.revokeToken('gone', NOW);
        await tx.bindTicket('t', hashOf('d'));
      });
      return factsOf(ledger, before.ids);
    });
    putBack('old');
    await within(async (ledger) => {
      expect(await factsOf(ledger, before.ids)).toEqual(since);
      expect(await ledger.read.statusEpoch()).not.toBe(before.epoch);
      expect((await ledger.read.findReserved(9)).map(({ holder }) => holder)).toEqual([
        'a',
        'b',
        'c',
        'd',
        'host',
      ]);
      // The list that the copy had is due, since the world may have a newer one.
      expect(await ledger.read.findCrl('idevid', 'full')).toMatchObject({ number: 1, nextUpdate: NOW });
      expect(await ledger.write((tx) => tx.takeCrlNumber('idevid', 'full'))).toBe(3);
      expect(await ledger.write((tx) => tx.takeCrlNumber('ldevid', '7'))).toBe(2);
      const told = (await audits(ledger)).map(({ action, subject }) => `${action} ${subject}`);
      expect(told).toEqual(
        expect.arrayContaining([
          'certificate.issue device:own/d',
          'certificate.issue server:host',
          'record.replay record',
        ]),
      );
    });
  });

  it('gives a ledger that is lost and empty nothing: it says that the ledger was lost', async () => {
    await within((ledger) => issue(ledger, 'a'));
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    expect(open).toThrow(coded('record-foreign'));
  });
});

describe('a process that is killed', () => {
  it.each([
    ['half', 0, false],
    ['half', 5, false],
    ['written', 5, true],
    ['synced', 0, true],
    ['synced', 5, true],
  ])(
    'with the frame %s, after %i good ones: nothing told is lost, nothing is half done',
    async (step, times, mayStay) => {
      await within((ledger) => ledger.write((tx) => tx.takeCrlNumber('idevid', 'other')));
      const begun = frames().length;
      const env = { NODE_OPTIONS: `--import=${DYING_RECORD}`, DIE_AT: step, DIE_TIMES: String(times) };
      const told = await startChild('recordForEver', path, 'k', env).facts();
      expect(told).toHaveLength(times);
      expect(statSync(record).size).toBeGreaterThan(0);

      const other = open();
      const again = open();
      const done = Array.from({ length: times + 1 }, (_, at) => `k-${at}`);
      const found = await Promise.all(done.map((name) => other.read.findBySerial(serialOf(name))));
      expect(found.map((one) => one !== undefined)).toEqual(done.map((_, at) => at < times || mayStay));
      const count = times + (mayStay ? 1 : 0);
      expect(await again.read.lastStatusChange()).toBe(count);
      expect(await again.write((tx) => tx.takeCrlNumber('idevid', 'full'))).toBe(count + 1);
      expect(frames()).toHaveLength(begun + count + 1);
      const actions = (await audits(other)).map(({ action }) => action);
      expect(actions).toContain('record.replay');
      again.close();
      other.close();
    },
  );

  it('before its frame was synced leaves it to the next one, who syncs it before the ledger has it', async () => {
    await within((ledger) => issue(ledger, 'a'));
    const env = { NODE_OPTIONS: `--import=${DYING_RECORD}`, DIE_AT: 'written' };
    await startChild('recordForEver', path, 'k', env).facts();
    const sequence = headReader(new Database(path, { readonly: true }));
    const { fdatasyncSync } = fs;
    const heads: (number | undefined)[] = [];
    Object.assign(fs, {
      fdatasyncSync: (fd: number) => {
        heads.push(sequence()?.sequence);
        fdatasyncSync(fd);
      },
    });
    syncBuiltinESMExports();
    try {
      open().close();
    } finally {
      Object.assign(fs, { fdatasyncSync });
      syncBuiltinESMExports();
    }
    expect(heads).toEqual([2]);
    expect(sequence()?.sequence).toBe(3);
  });

  it('does not keep one that has the ledger open from going on, which does the frame again first', async () => {
    const ledger = open();
    const env = { NODE_OPTIONS: `--import=${DYING_RECORD}`, DIE_AT: 'synced', DIE_TIMES: '2' };
    await startChild('recordForEver', path, 'k', env).facts();
    expect(await ledger.read.lastStatusChange()).toBe(2);
    expect(await ledger.write((tx) => tx.takeCrlNumber('idevid', 'full'))).toBe(4);
    expect(await ledger.read.lastStatusChange()).toBe(3);
    ledger.close();
  });

  it('never takes a number twice while two write and are killed again and again', async () => {
    const numbers: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const children = ['a', 'b'].map((name) =>
        startChild('recordForEver', path, `${name}${round}`, {
          NODE_OPTIONS: `--import=${DYING_RECORD}`,
          DIE_AT: name === 'a' ? 'half' : 'synced',
          DIE_TIMES: '7',
        }),
      );
      for (const facts of await Promise.all(children.map((child) => child.facts())))
        numbers.push(...facts.map((fact) => fact.split(' ')[1] ?? ''));
    }
    expect(numbers.length).toBeGreaterThan(30);
    expect(new Set(numbers).size).toBe(numbers.length);
    await within(async (ledger) => {
      expect(await ledger.write((tx) => tx.takeCrlNumber('idevid', 'full'))).toBeGreaterThan(
        Math.max(...numbers.map(Number)),
      );
    });
  });
});

describe('a look at all of the record', () => {
  const twoTakenBack = () =>
    within(async (ledger) => {
      const ids = [await issue(ledger, 'a'), await issue(ledger, 'b'), await issue(ledger, 'c')];
      await ledger.write((tx) =>
        tx.putRevocations([
          revocation(ids[0] ?? 0, 'a', { reason: 'keyCompromise' }),
          revocation(ids[1] ?? 0, 'b', { held: true }),
        ]),
      );
      await ledger.write((tx) => tx.releaseHolds([ids[1] ?? 0], NOW));
    });
  const findings = () => verifyRecord({ ledger: path, record, full: true }).findings;

  it('finds nothing where the two agree', async () => {
    await twoTakenBack();
    expect(findings()).toEqual([]);
  });

  it.each([
    ['a revocation that is gone', 'DELETE FROM revocations', /as good, .* as revoked for keyC/],
    ['one that is a hold now', 'UPDATE revocations SET held = 1', /as held/],
    ['one for another reason', "UPDATE revocations SET reason = 'superseded'", /as revoked for superseded/],
    ['one on the list of another shard', 'UPDATE revocations SET shard = 4', /as listed elsewhere/],
    [
      'one that nobody made',
      `INSERT INTO revocations SELECT id, serial, authority, shard, not_after, NULL, 0, 0, NULL, 0, 0, 0, NULL, NULL, 'x'
         FROM certificates WHERE id = 3`,
      /as good/,
    ],
    [
      'a release that nobody made',
      `DELETE FROM revocations;
       INSERT INTO status_changes (serial, authority, shard, key_hash, status, at)
         SELECT serial, authority, shard, key_hash, 'good', 0 FROM certificates WHERE id = 1`,
      /1 changes of a status/,
    ],
  ])('finds %s', async (_what, sql, finding) => {
    await twoTakenBack();
    const db = new Database(path);
    db.exec(sql);
    db.close();
    expect(findings()).toEqual([expect.stringMatching(finding)]);
  });
});

describe('a frame whose commit found no room', () => {
  /** A ledger whose next COMMIT finds no room; `then` is called when its transaction is over. */
  const withoutRoom = (then: () => void) => {
    let isWriter = true;
    const openConnection: typeof openFile = (...given) => {
      const db = openFile(...given);
      if (!isWriter) return db;
      isWriter = false;
      const prepare = db.prepare.bind(db);
      let left = 1;
      const full = () => {
        if (left === 0) return;
        left -= 1;
        throw new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
      };
      return Object.assign(db, {
        prepare: (sql: string) => {
          const statement = prepare(sql);
          const run = statement.run.bind(statement);
          if (sql === 'COMMIT')
            Object.assign(statement, {
              run: () => {
                full();
                return run();
              },
            });
          if (sql === 'ROLLBACK')
            Object.assign(statement, {
              run: () => {
                run();
                then();
              },
            });
          return statement;
        },
      });
    };
    return openLedger({ path, record: { path: record, clock: () => NOW }, openConnection });
  };

  it('is taken back', async () => {
    const ledger = withoutRoom(() => undefined);
    await expect(issue(ledger, 'a')).rejects.toEqual(coded('ledger-full'));
    ledger.close();
    await within(async (again) => expect(await again.read.findBySerial(serialOf('a'))).toBeUndefined());
  });

  it('stays where another process has done it again meanwhile, and went on', async () => {
    const ledger = withoutRoom(() => {
      const db = openFile(path, { cacheKiB: 1024, busyTimeoutMs: 0, synchronous: 'FULL' });
      const other = ledgerRecord(db, { path: record, clock: () => NOW });
      const act = { act: 'crlNumber', authority: 'idevid', scope: 'full', number: 1 } as const;
      db.transaction(() => {
        other.agree();
        other.note(act);
        other.seal();
      }).immediate();
      other.close();
      db.close();
    });
    await expect(issue(ledger, 'a')).rejects.toEqual(coded('ledger-full'));
    ledger.close();
    await within(async (again) => expect(await again.read.findBySerial(serialOf('a'))).toBeDefined());
  });
});

describe('a record that is begun anew', () => {
  it('gives no list a number twice, however often it is lost and the same old copy comes back', async () => {
    await within((ledger) => ledger.write((tx) => tx.takeCrlNumber('idevid', 'full')));
    copy('old');
    const numbers: string[] = [];
    for (let loss = 1; loss <= 2; loss += 1) {
      putBack('old');
      rmSync(record);
      renewRecord(path, { path: record, clock: () => NOW + loss * 1000 });
      await within((ledger) =>
        ledger.write(async (tx) => {
          for (const scope of ['full', '7'])
            numbers.push(`${scope} ${await tx.takeCrlNumber('idevid', scope)}`);
        }),
      );
    }
    expect(new Set(numbers).size).toBe(4);
  });
});

describe('is refused', () => {
  const makeTwo = async () => {
    await within((ledger) => issue(ledger, 'a'));
    copy('old');
    copyFileSync(record, join(folder, 'old.record'));
    await within(async (ledger) => {
      for (const name of ['b', 'c', 'd']) await issue(ledger, name);
    });
  };

  it('a record that is gone, or was never there, and is not made anew', async () => {
    await makeTwo();
    rmSync(record);
    expect(open).toThrow(coded('record-missing'));
    expect(open).toThrow(/restore --begin-record/);
  });

  it('an older copy of the record', async () => {
    await makeTwo();
    copyFileSync(join(folder, 'old.record'), record);
    expect(open).toThrow(coded('record-behind'));
  });

  it("another ledger's record", async () => {
    await makeTwo();
    renameSync(path, join(folder, 'mine'));
    rmSync(record);
    await within(async (ledger) => {
      for (const name of ['1', '2', '3', '4', '5', '6']) await issue(ledger, name);
    });
    renameSync(join(folder, 'mine'), path);
    expect(open).toThrow(coded('record-foreign'));
  });

  it.each([
    [
      'a flipped bit in a frame that others follow',
      (octets: Buffer) => octets.writeUInt8(1 ^ octets.readUInt8(at(octets, 3) + 60), at(octets, 3) + 60),
    ],
    [
      'a flipped bit in the last frame',
      (octets: Buffer) => octets.writeUInt8(1 ^ octets.readUInt8(at(octets, 5) + 60), at(octets, 5) + 60),
    ],
    ['a length that leads beyond the end', (octets: Buffer) => octets.writeUInt8(1, at(octets, 3) + 18)],
    ['a frame that was overwritten', (octets: Buffer) => octets.fill(0, at(octets, 3), at(octets, 4))],
    [
      'a frame that was taken out',
      (octets: Buffer) => Buffer.concat([octets.subarray(0, at(octets, 3)), octets.subarray(at(octets, 4))]),
    ],
  ])('behind an old ledger: %s', async (_what, damage) => {
    await makeTwo();
    putBack('old');
    const octets = readFileSync(record);
    const damaged = damage(octets);
    writeFileSync(record, Buffer.isBuffer(damaged) ? damaged : octets);
    expect(open).toThrow(coded('record-broken'));
    const db = new Database(path);
    expect(db.prepare('SELECT count(*) FROM certificates').pluck().get()).toBe(1);
    db.close();
  });

  it('no torn end: it is cut off, and what is before it is done again', async () => {
    await makeTwo();
    putBack('old');
    const { size } = statSync(record);
    truncateSync(record, size - 5);
    await within(async (ledger) => {
      const found = await ledger.read.findDevices(['a', 'b', 'c', 'd'].map(own));
      expect(found.map((one) => one !== undefined)).toEqual([true, true, true, false]);
      await issue(ledger, 'e');
    });
    truncateSync(record, statSync(record).size + 300);
    await within((ledger) => issue(ledger, 'f'));
    expect(frames().at(-1)).toMatchObject({ sequence: 6 });
  });

  describe('no damaged last frame right behind the head, which was never committed, but', () => {
    const makeLast = async () => {
      await within(async (ledger) => {
        for (const name of ['a', 'b']) await issue(ledger, name);
      });
      copy('old');
      await within((ledger) => issue(ledger, 'c'));
      putBack('old');
      return { octets: readFileSync(record), begin: at(readFileSync(record), 4) };
    };
    const cuts: number[] = [];
    const openTelling = (isCopy = false) =>
      openLedger({
        path,
        record: { path: record, clock: () => NOW, onCut: (octets) => cuts.push(octets), isCopy },
      });
    beforeEach(() => {
      cuts.length = 0;
    });

    it.each([
      ['zeros within', (octets: Buffer, begin: number) => octets.fill(0, begin + 60, begin + 120)],
      ['zeros where it begins', (octets: Buffer, begin: number) => octets.fill(0, begin, begin + 40)],
      ['a half of its length', (octets: Buffer, begin: number) => octets.fill(0, begin + 17, begin + 60)],
      ['what was there before', (octets: Buffer, begin: number) => octets.fill(0xa5, begin + 30, begin + 90)],
    ])('cuts off and tells one with %s', async (_what, damage) => {
      const { octets, begin } = await makeLast();
      writeFileSync(record, damage(octets, begin));
      expect(() => openTelling(true)).toThrow(coded('record-broken'));
      const ledger = openTelling();
      expect(cuts).toEqual([octets.length - begin]);
      expect(await ledger.read.findBySerial(serialOf('c'))).toBeUndefined();
      expect(await audits(ledger)).toContainEqual(
        expect.objectContaining({
          action: 'record.replay',
          facts: expect.objectContaining({ cut: cuts[0] }),
        }),
      );
      await issue(ledger, 'd');
      ledger.close();
      expect(verifyRecord({ ledger: path, record, full: true }).findings).toEqual([]);
    });

    it('refuses one that others follow, one that is whole and follows another, and one at the head', async () => {
      const { octets, begin } = await makeLast();
      const last = octets.subarray(begin);
      const damaged = Buffer.from(octets).fill(0, begin + 60, begin + 120);
      writeFileSync(record, Buffer.concat([damaged, last]));
      expect(openTelling).toThrow(coded('record-broken'));
      const third = octets.subarray(at(octets, 2), at(octets, 3));
      writeFileSync(record, Buffer.concat([octets.subarray(0, begin), third]));
      expect(openTelling).toThrow(coded('record-broken'));
      const head = at(octets, 3);
      writeFileSync(record, Buffer.from(octets.subarray(0, begin)).fill(0, head + 60, head + 90));
      expect(openTelling).toThrow(coded('record-foreign'));
      expect(cuts).toEqual([]);
    });

    it('begins no record over a file that is none', () => {
      const other = Buffer.from('the only copy of something else\n'.repeat(20));
      writeFileSync(record, other);
      expect(openTelling).toThrow(coded('record-broken'));
      expect(readFileSync(record)).toEqual(other);
    });
  });

  it('a record that is taken away or cut while the ledger is open, and the reads go on', async () => {
    const ledger = open();
    await issue(ledger, 'a');
    const whole = readFileSync(record);
    truncateSync(record, whole.length - 1);
    await expect(issue(ledger, 'b')).rejects.toEqual(coded('record-behind'));
    rmSync(record);
    await expect(issue(ledger, 'b')).rejects.toEqual(coded('record-missing'));
    expect(await ledger.read.findDevices([own('a'), own('b')])).toMatchObject([own('a'), undefined]);
    writeFileSync(record, whole);
    await issue(ledger, 'b');
    ledger.close();
  });
});

/** Where a frame begins. */
function at(octets: Buffer, sequence: number): number {
  let offset = 0;
  for (let passed = 1; passed < sequence; passed += 1) offset += octets.readUInt32LE(offset + 16);
  return offset;
}
