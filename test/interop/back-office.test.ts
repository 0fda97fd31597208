// An act on more certificates than one piece has, which a house that serves leaves to its back office; and its end.
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { makeDevices } from './make-devices.ts';
import { useHouse } from './use-house.ts';

const DEVICES = 1500;
/** More than are done by the time that somebody sees that the second piece was begun, and in the piece after it. */
const MANY = 3500;
const house = useHouse();

async function enroll(batch: string, devices: number): Promise<void> {
  await house().tokenFile(batch, '--role', 'factory');
  const lines = makeDevices(devices, `${batch}-`).replaceAll('"csr"', `"batch":"${batch}","csr"`);
  house().write(`${batch}.ndjson`, lines);
  const from = ['--url', house().tlsUrl, '--token-file', `${batch}.token`, '--ca', house().pem('root')];
  await house().must('factory', 'enroll', ...from, '--in', `${batch}.ndjson`, '--out', `${batch}.out`);
}

/** Certificates of a batch that the ledger has as revoked. */
function revokedOf(batch: string): number {
  const db = new Database(`${house().home}/ledger.db`, { readonly: true });
  try {
    return Number(
      db
        .prepare<[string], number>(
          'SELECT count(*) FROM revocations r JOIN certificates c USING (id) WHERE c.holder GLOB ?',
        )
        .pluck()
        .get(`${batch}-*`),
    );
  } finally {
    db.close();
  }
}

/** Entries of all shards, as OpenSSL reads them. */
async function listed(): Promise<number> {
  let count = 0;
  for (let shard = 0; ; shard += 1) {
    const answer = await fetch(`${house().publicUrl}/crl/idevid/${shard}.pem`);
    if (answer.status === 404) return count;
    house().write('shard.pem', await answer.text());
    const text = await house().program('openssl', 'crl', '-in', 'shard.pem', '-noout', '-text');
    count += text.match(/Serial Number:/g)?.length ?? 0;
  }
}

test('an act on many is done, in its lists, and told as one', async () => {
  await enroll('one', DEVICES);
  const words = ['--batch', 'one', '--reason', 'superseded'];
  const told = JSON.parse(await house().must('revoke', ...words, '--json'));
  expect(told).toMatchObject({ changed: DEVICES, profiles: { idevid: DEVICES }, published: true });
  expect(told.serials).toHaveLength(20);
  expect([revokedOf('one'), await listed()]).toEqual([DEVICES, DEVICES]);
  const again = JSON.parse(await house().must('revoke', ...words, '--json'));
  expect(again).toMatchObject({ changed: 0, unchanged: DEVICES });
});

test('an act that a power cut ended is finished by saying it again', async () => {
  await enroll('two', MANY);
  const words = ['--batch', 'two', '--reason', 'superseded', '--json'];
  const cut = house().birthmark('revoke', ...words);
  // Beyond the first piece: the back office is at work.
  await expect.poll(() => revokedOf('two'), { interval: 5, timeout: 30_000 }).toBeGreaterThan(250);
  await house().kill();
  expect((await cut).status).not.toBe(0);
  const seen = revokedOf('two');
  await house().restart();
  // What was in the record already, and not yet in the ledger when the power went, has been brought in at the start.
  const done = revokedOf('two');
  expect(done).toBeGreaterThanOrEqual(seen);
  expect(done).toBeLessThan(MANY);
  expect(JSON.parse(await house().must('revoke', ...words))).toMatchObject({
    changed: MANY - done,
    unchanged: done,
    published: true,
  });
  expect([revokedOf('two'), await listed()]).toEqual([MANY, DEVICES + MANY]);
});
