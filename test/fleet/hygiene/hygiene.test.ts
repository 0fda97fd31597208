import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { operatorAdmission } from '../../../src/enroll/admission.ts';
import { createCampaigns } from '../../../src/fleet/campaign/campaigns.ts';
import { createHygiene, type HygieneRoom } from '../../../src/fleet/hygiene/hygiene.ts';
import { DEFAULT_HYGIENE } from '../../../src/fleet/hygiene/settings.ts';
import { findSharedPrimes } from '../../../src/fleet/hygiene/shared-primes.ts';
import { DAY_MS, KEY_LIMITS, newKey, openTestHouse, type TestHouse } from '../../house.ts';
import { planWith } from '../campaign/lab.ts';

const ANNA = 'operator:anna';

function roomOf(house: TestHouse, changes: Partial<HygieneRoom> = {}): HygieneRoom {
  return {
    ledger: house.ledger,
    limits: DEFAULT_HYGIENE,
    keyLimits: KEY_LIMITS,
    profiles: house.issuing.profiles,
    clock: house.clock.now,
    ...changes,
  };
}

async function findingsOf(house: TestHouse, changes: Partial<HygieneRoom> = {}) {
  const hygiene = createHygiene(roomOf(house, changes));
  const scan = await hygiene.scan(ANNA, true);
  expect(scan.endedAt).toBeDefined();
  const { lines } = await hygiene.report();
  return Object.fromEntries(
    lines.flatMap(({ kind, certificates }) => (certificates > 0 ? [[kind, certificates]] : [])),
  );
}

const see = (house: TestHouse, id: number) =>
  house.ledger.write((tx) =>
    tx.addSightings([
      { id, seenAt: house.clock.now(), lastSeenAt: house.clock.now(), listener: 'mqtt', toldBy: 'gate:lab' },
    ]),
  );
const rowOf = async (house: TestHouse, serial: Uint8Array) =>
  (await house.ledger.read.findBySerial(serial))?.id ?? 0;

test('a fleet that is well has no finding, and the report says what was looked at', async () => {
  using house = await openTestHouse();
  await house.grant('SN-1');
  await house.grant('SN-1', { profile: 'ldevid' });
  expect(await findingsOf(house)).toEqual({});
  const report = await createHygiene(roomOf(house)).report();
  expect(report).toMatchObject({ isCurrent: true, scan: { devices: 1, certificates: 2, rsaKeys: 0 } });
});

test('the years find the silent, the never rotated and the old key; who rotated and was seen is not among them', async () => {
  using house = await openTestHouse({ profiles: { ldevid: { validityDays: 3000 } } });
  await house.grant('SN-1', { profile: 'ldevid' });
  await house.grant('SN-2', { profile: 'ldevid' });
  house.clock.pass(89 * DAY_MS);
  expect(await findingsOf(house)).toEqual({});
  house.clock.pass(2 * DAY_MS);
  expect(await findingsOf(house)).toEqual({ silent: 2 });
  const again = await house.grant('SN-2', { profile: 'ldevid' });
  await see(house, await rowOf(house, again.serial));
  expect(await findingsOf(house)).toEqual({ silent: 1 });
  house.clock.pass(280 * DAY_MS);
  await see(house, await rowOf(house, again.serial));
  expect(await findingsOf(house)).toEqual({ silent: 1, 'never-rotated': 1 });
  house.clock.pass(300 * DAY_MS);
  // The first keys of both are past nine tenths of 730 days; the second one of SN-2 is not.
  expect(await findingsOf(house)).toMatchObject({ 'near-cryptoperiod': 2 });
});

test('a test that became stricter finds keys that were good before, and only those', async () => {
  using house = await openTestHouse();
  await house.grant('SN-1', { profile: 'ldevid', key: newKey('RSA-2048') });
  await house.grant('SN-2', { profile: 'ldevid' });
  expect(await findingsOf(house)).toEqual({});
  expect(await findingsOf(house, { keyLimits: { ...KEY_LIMITS, minRsaBits: 3072 } })).toEqual({
    'weak-key': 1,
  });
  const { scan } = await createHygiene(roomOf(house)).report();
  expect(scan?.primes).toBe('all 1 RSA moduli were compared with each other');
});

test('two devices that came with one key are both found, and what is blocked and stands', async () => {
  using house = await openTestHouse();
  const key = newKey();
  await house.grant('SN-1', { profile: 'ldevid', key });
  await house.grant('SN-2', { profile: 'ldevid' });
  await house.grant('SN-3', { profile: 'ldevid' });
  await house.ask('SN-2', { profile: 'ldevid', key });
  expect(await findingsOf(house)).toEqual({ 'duplicate-key': 2 });
  const record = await house.ledger.read.findBySerial((await house.grant('SN-3')).serial);
  await house.ledger.write((tx) => tx.blockKey(record!.keyHash, 'test', house.clock.now()));
  expect(await findingsOf(house)).toEqual({ 'duplicate-key': 2, 'blocked-key': 1 });
});

test('a scan that nobody goes on with is brought to its end, and one in the hands of somebody is left to him', async () => {
  using house = await openTestHouse();
  const hurried = await hurriedOver(house, 350);
  const hygiene = createHygiene(roomOf(house));
  expect(await hygiene.goOn(undefined)).toBeUndefined();
  const begun = await hurried.scan(ANNA, true);
  const met = await hygiene.goOn(undefined);
  expect(met).toEqual(begun);
  const further = await hurried.scan(ANNA, false);
  expect(further.endedAt).toBeUndefined();
  // It moved since: somebody asks for more of it.
  const again = await hygiene.goOn(met);
  expect(again).toEqual(further);
  expect(await hygiene.goOn(again)).toBeUndefined();
  const { scan, isCurrent } = await hygiene.report();
  expect([scan?.id, scan?.devices, isCurrent]).toEqual([begun.id, 350, true]);
  expect(await hygiene.goOn(undefined)).toBeUndefined();
});

test('what was found is what a campaign takes', async () => {
  using house = await openTestHouse({ profiles: { ldevid: { validityDays: 3000 } } });
  await house.grant('SN-1', { profile: 'ldevid' });
  const { serial } = await house.grant('SN-2', { profile: 'ldevid' });
  house.clock.pass(100 * DAY_MS);
  await see(house, await rowOf(house, serial));
  await findingsOf(house);
  const campaigns = createCampaigns({
    ledger: house.ledger,
    profiles: house.issuing.profiles,
    idevidProfiles: house.issuing.idevidProfiles,
    crls: house.crls,
    clock: house.clock.now,
    onUnpublished: () => undefined,
  });
  const { id } = await campaigns.plan('silent', planWith({ selection: { finding: 'silent' } }), ANNA);
  const members = await house.ledger.read.listMembers(id, { after: 0, limit: 10 });
  expect(await house.ledger.read.findDevicesById(members.map(({ deviceId }) => deviceId))).toMatchObject([
    { serialNumber: 'SN-1' },
  ]);
});

/** So many devices, and somebody for whom each look at the clock takes five seconds: he has time for a slice of 100. */
async function hurriedOver(house: TestHouse, devices: number) {
  const requests = Array.from({ length: devices }, (_, at) =>
    house.request(`SN-${at}`, { profile: 'ldevid' }),
  );
  await house.enroll(requests, operatorAdmission(ANNA));
  let now = house.clock.now();
  const clock = () => {
    now += 5000;
    return now;
  };
  return createHygiene(roomOf(house, { clock }));
}

test('a scan that was cut short goes on where it was, and the one after it begins anew', async () => {
  using house = await openTestHouse();
  const hurried = await hurriedOver(house, 250);
  const first = await hurried.scan(ANNA, true);
  expect(first).toMatchObject({ devices: 100, through: 100 });
  expect(first.endedAt).toBeUndefined();
  let scan = first;
  for (let times = 0; scan.endedAt === undefined && times < 20; times += 1)
    scan = await hurried.scan(ANNA, true);
  expect(scan).toMatchObject({ id: first.id, devices: 250, certificates: 250 });
  expect(await hurried.scan(ANNA, false)).toMatchObject({ id: first.id });
  expect((await hurried.scan(ANNA, true)).id).toBe(first.id + 1);
});

test('moduli that share a prime are found among many that do not', async () => {
  const factors = Array.from({ length: 301 }, () => factor());
  const moduli = factors.slice(1).map((one) => one * factor());
  expect(await findSharedPrimes(moduli)).toEqual([]);
  // In one group, across two groups, and one modulus that is there twice.
  const other = factor();
  moduli[3] = factors[0]! * other;
  moduli[7] = factors[0]! * factors[8]!;
  moduli[150] = other * factor();
  moduli[299] = moduli[200]!;
  expect(await findSharedPrimes(moduli)).toEqual([3, 7, 150, 200, 299]);
});

/** A number that shares no factor with any other that this gives: what a prime is to a gcd. */
function factor(): bigint {
  const { n = '' } = createPublicKey(generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey).export({
    format: 'jwk',
  });
  return BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`);
}
