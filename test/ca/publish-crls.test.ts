import { expect, test } from 'vitest';
import type { CrlPolicy } from '../../src/ca/crl/room.ts';
import { type CrlOrder, DELTA, FULL } from '../../src/ca/crl/scope.ts';
import { publishCrls } from '../../src/ca/publish-crls.ts';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { publishedUrls } from '../../src/ca/published-urls.ts';
import { SIGNATURE_ALGORITHMS, verifySignature } from '../../src/x509/algorithms.ts';
import { readSigned } from '../../src/x509/certificate.ts';
import { encode } from '../../src/x509/der/encode.ts';
import { crlNumber, issuingDistributionPoint } from '../../src/x509/extensions.ts';
import { importPublicKey } from '../../src/x509/public-key.ts';
import { openTestHouse, PUBLIC_URL, type TestHouse } from '../house.ts';

const HOUR_MS = 3_600_000;
const POLICY: CrlPolicy = { shards: 2, validityMs: 10 * HOUR_MS, coalesceMs: 60_000, idp: 'partitionedOnly' };
const URLS = publishedUrls(PUBLIC_URL);

function publish({ authorities, ledger, clock }: TestHouse, policy = POLICY): Promise<number> {
  return publishDueCrls({ authorities, ledger, urls: URLS, policy }, clock.now());
}

/** Full lists and deltas of four authorities, and two shards of three. */
const ALL = 4 * 2 + 3 * 2;

test('publishes a full list and a delta of each authority, and each shard of those that issue to devices', async () => {
  using house = await openTestHouse();
  // The first full list is the base of the first delta, with which the second comes.
  expect(await publish(house)).toBe(4 + ALL);
  for (const [name, scopes] of [
    ['root', [DELTA, FULL]],
    ['idevid', ['0', '1', DELTA, FULL]],
    ['ldevid', ['0', '1', DELTA, FULL]],
    ['service', ['0', '1', DELTA, FULL]],
  ] as const) {
    expect((await house.ledger.read.listCrls(name)).map(({ scope }) => scope).sort()).toEqual([...scopes]);
  }
});

test('a list is signed by its authority, and a shard says which URL it is for', async () => {
  using house = await openTestHouse();
  await publish(house);
  const authority = house.authorities.get('ldevid');
  const crl = await house.ledger.read.findCrl('ldevid', '1');
  if (!authority || !crl) throw new Error('no list');
  const { tbs, signature } = readSigned(crl.crl, 'crl');
  const key = importPublicKey(authority.signer.spki);
  expect(verifySignature(SIGNATURE_ALGORITHMS['ecdsa-sha256'], key, tbs, signature)).toBe(true);
  const text = Buffer.from(tbs).toString('hex');
  expect(text).toContain(
    encode(issuingDistributionPoint({ url: URLS.shard('ldevid', 1), onlyUserCerts: true })).toString('hex'),
  );
  expect(text).toContain(encode(crlNumber(crl.number)).toString('hex'));
  expect(text).toContain(Buffer.from(authority.certificate.tbs.subject).toString('hex'));
});

test('replaces nothing before half of the time has passed, and all of it then, with greater numbers', async () => {
  using house = await openTestHouse();
  await publish(house);
  const before = await house.ledger.read.findCrl('idevid', FULL);
  house.clock.pass(5 * HOUR_MS - 1);
  expect(await publish(house)).toBe(0);
  house.clock.pass(1);
  expect(await publish(house)).toBe(ALL);
  const after = await house.ledger.read.findCrl('idevid', FULL);
  expect((after?.number ?? 0) - (before?.number ?? 0)).toBe(1);
  expect(after?.thisUpdate).toBe((before?.thisUpdate ?? 0) + 5 * HOUR_MS);
  expect((after?.nextUpdate ?? 0) - (after?.thisUpdate ?? 0)).toBe(POLICY.validityMs);
});

test('a list that a certificate names stays published when there are fewer shards', async () => {
  using house = await openTestHouse();
  await publish(house);
  house.clock.pass(5 * HOUR_MS);
  expect(await publish(house, { ...POLICY, shards: 1 })).toBe(ALL);
  expect((await house.ledger.read.findCrl('idevid', '1'))?.thisUpdate).toBe(house.clock.now());
});

test('more shards are published at once', async () => {
  using house = await openTestHouse();
  await publish(house);
  expect(await publish(house, { ...POLICY, shards: 4 })).toBe(3 * 2);
});

test('a full list with much to tell is left to whom nobody waits for, and small ones are not', async () => {
  using house = await openTestHouse();
  await publish(house);
  const left: string[] = [];
  const room = {
    ...house.crls,
    policy: POLICY,
    publishLarge: (orders: readonly CrlOrder[], now: number) => {
      left.push(...orders.map(({ authority, scope }) => `${authority}/${scope}`));
      return publishCrls(orders, { ...house.crls, policy: POLICY, isAlone: true }, now);
    },
  };
  const { serial } = await house.grant('SN-1');
  const one = await house.ledger.read.findBySerial(serial);
  if (!one) throw new Error('no certificate');
  const at = house.clock.now();
  const record = {
    ...one,
    held: false,
    revokedAt: at,
    discoveredAt: at,
    decidedAt: at,
    recordedAt: at,
    by: 'system',
  };
  const publishFull = () => publishCrls([{ authority: 'idevid', scope: FULL }], room, house.clock.now());
  await house.ledger.write((tx) => tx.putRevocations([record]));
  expect([await publishFull(), left]).toEqual([2, []]);
  // 5,001 changes of one certificate: what counts is how many there are to tell.
  await house.ledger.write((tx) => tx.putRevocations(Array.from({ length: 5001 }, () => record)));
  expect(await publishCrls([{ authority: 'idevid', scope: '0' }], room, house.clock.now())).toBe(1);
  expect([await publishFull(), left]).toEqual([2, ['idevid/full']]);
  const full = await house.ledger.read.findCrlFacts('idevid', FULL);
  expect(full).toMatchObject({ changes: 5002 });
  expect(await publishFull()).toBe(2);
  expect(left).toHaveLength(1);
});

test('a number that was taken before a crash is not used again', async () => {
  using house = await openTestHouse();
  await publish(house);
  const before = await house.ledger.read.findCrl('root', FULL);
  await house.ledger.write((tx) => tx.takeCrlNumber('root', FULL));
  house.clock.pass(5 * HOUR_MS);
  await publish(house);
  expect((await house.ledger.read.findCrl('root', FULL))?.number).toBe((before?.number ?? 0) + 2);
});

test('a list that a clock ahead of its time dated is replaced when the clock is right, and not for its fractions', async () => {
  using house = await openTestHouse();
  await publish(house);
  house.clock.pass(-1000);
  expect(await publish(house)).toBe(0);
  house.clock.pass(-1);
  expect(await publish(house)).toBe(ALL);
  const full = await house.ledger.read.findCrl('idevid', FULL);
  expect([full?.number, full?.thisUpdate]).toEqual([3, house.clock.now() - 999]);
});

test('a change does not wait for a full list that is dated in the future', async () => {
  using house = await openTestHouse();
  await publish(house);
  const { serial } = await house.grant('SN-1');
  house.clock.pass(-800);
  await house.revoker({ act: 'revoke', by: { kind: 'serial', serial } }, 'system');
  expect(await publish(house)).toBe(2);
});
