import { describe, expect, test } from 'vitest';
import type { AuditRecord } from '../../src/core/audit.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { operatorAdmission } from '../../src/enroll/admission.ts';
import { hashKey } from '../../src/x509/public-key.ts';
import type { Asking, TestHouse } from '../house.ts';
import { granted, newCsr, newKey, only, openTestHouse, outcomeCode } from '../house.ts';

const HAND = operatorAdmission('operator:test');

async function acts({ ledger }: TestHouse): Promise<string[]> {
  const { items } = await ledger.read.listAudit({ limit: 1000 });
  return items.map(({ action, subject, outcome }: AuditRecord) => `${action} ${subject} ${outcome}`);
}

async function incidents({ ledger }: TestHouse) {
  return (await ledger.read.listIncidents({ limit: 1000 })).items;
}

/** Enrolls many at once; gives codes, `granted` for certificates. */
async function askAll(house: TestHouse, asked: readonly (readonly [serialNumber: string, asking: Asking])[]) {
  return house.enroll(
    asked.map(([serialNumber, asking]) => house.request(serialNumber, asking)),
    HAND,
  );
}

describe('a cloned key', () => {
  test('is refused with a second device, recorded as an incident that names both, and audited', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.grant('SN-1', { key });
    expect(outcomeCode(await house.ask('SN-2', { key }))).toBe('key-in-use');
    const [first] = await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }]);
    expect(only(await incidents(house))).toMatchObject({
      kind: 'key-in-use',
      subject: 'device:own/SN-2',
      facts: { ownerDeviceId: first?.id, keyHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(await acts(house)).toEqual([
      'certificate.issue device:own/SN-1 done',
      'certificate.issue device:own/SN-2 refused:key-in-use',
    ]);
    // The second device does not exist for that: it may come with a key of its own.
    expect(outcomeCode(await house.ask('SN-2'))).toBe('granted');
  });

  test('is refused within one batch: the first line has it', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const outcomes = await askAll(house, [
      ['SN-1', { key }],
      ['SN-2', { key }],
      ['SN-3', {}],
      ['SN-4', { key }],
    ]);
    expect(outcomes.map(outcomeCode)).toEqual(['granted', 'key-in-use', 'granted', 'key-in-use']);
    expect(await incidents(house)).toHaveLength(2);
  });

  test('is refused across batches that run at once: exactly one has it', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const codes = (
      await Promise.all(['SN-1', 'SN-2', 'SN-3'].map((serialNumber) => house.ask(serialNumber, { key })))
    ).map(outcomeCode);
    expect(codes.sort()).toEqual(['granted', 'key-in-use', 'key-in-use']);
  });

  test("an authority's own key is refused", async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.ledger.write((tx) =>
      tx.claimKeys([{ keyHash: hashKey(key.spki), holder: 'authority:root' }]),
    );
    expect(outcomeCode(await house.ask('SN-2', { key }))).toBe('key-in-use');
    expect(only(await incidents(house)).facts).toMatchObject({ owner: 'authority:root' });
  });
});

describe('a birth', () => {
  test('happens once: another key is refused, the same one gets the same certificate', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const first = await house.grant('SN-1', { key });
    expect(outcomeCode(await house.ask('SN-1'))).toBe('device-already-born');
    expect((await house.grant('SN-1', { key })).certificate).toEqual(first.certificate);
    expect(await incidents(house)).toEqual([]);
  });

  test('is allowed once more by an operator, once', async () => {
    using house = await openTestHouse();
    const [first, second, third] = [newKey(), newKey(), newKey()];
    const born = await house.grant('SN-1', { key: first });
    const [device] = await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }]);
    await house.ledger.write((tx) => tx.setRebirthAllowed(device?.id ?? 0, true));
    // What it has already does not use the permission up.
    expect((await house.grant('SN-1', { key: first })).certificate).toEqual(born.certificate);
    const again = await house.grant('SN-1', { key: second });
    expect(again.serial).not.toEqual(born.serial);
    expect(outcomeCode(await house.ask('SN-1', { key: third }))).toBe('device-already-born');
    expect((await house.grant('SN-1', { key: second })).certificate).toEqual(again.certificate);
    expect(
      (await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }]))[0]?.rebirthAllowed,
    ).toBe(false);
  });

  test('within one batch the permission is used by the first line that needs it', async () => {
    using house = await openTestHouse();
    await house.grant('SN-1');
    const [device] = await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }]);
    await house.ledger.write((tx) => tx.setRebirthAllowed(device?.id ?? 0, true));
    const outcomes = await askAll(house, [
      ['SN-1', {}],
      ['SN-1', {}],
    ]);
    expect(outcomes.map(outcomeCode)).toEqual(['granted', 'device-already-born']);
  });

  test('with a blocked key is refused', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.ledger.write((tx) => tx.blockKey(hashKey(key.spki), 'published', 1));
    expect(outcomeCode(await house.ask('SN-1', { key }))).toBe('key-blocked');
    expect(await acts(house)).toEqual(['certificate.issue device:own/SN-1 refused:key-blocked']);
  });
});

describe('the same line again', () => {
  test('twice in one batch gets one certificate', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const csr = newCsr(key);
    const [first, second, third] = (
      await askAll(house, [
        ['SN-1', { csr }],
        ['SN-1', { csr }],
        ['SN-1', { csr: newCsr(key, { subject: [{ type: 'CN', value: 'x' }] }) }],
      ])
    ).map(granted);
    expect(second?.certificate).toEqual(first?.certificate);
    expect(third?.certificate).toEqual(first?.certificate);
    expect(await acts(house)).toHaveLength(1);
  });

  test('in twenty batches at once gets one certificate', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => house.grant('SN-1', { key })));
    expect(new Set(outcomes.map(({ certificate }) => certificate.toString('hex'))).size).toBe(1);
    expect((await house.ledger.read.searchCertificates({ limit: 100 })).items).toHaveLength(1);
    expect(await house.ledger.read.findReserved(10)).toEqual([]);
  });

  test('gets a new certificate when the first has ended', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const first = await house.grant('SN-1', { key, profile: 'ldevid' });
    house.clock.pass(90 * 86_400_000 - 1000);
    expect((await house.grant('SN-1', { key, profile: 'ldevid' })).serial).toEqual(first.serial);
    house.clock.pass(1000);
    expect((await house.grant('SN-1', { key, profile: 'ldevid' })).serial).not.toEqual(first.serial);
  });
});

test('an LDevID wants another key than the IDevID has', async () => {
  using house = await openTestHouse();
  const key = newKey();
  await house.grant('SN-1', { key });
  expect(outcomeCode(await house.ask('SN-1', { key, profile: 'ldevid' }))).toBe('key-in-use');
  expect(outcomeCode(await house.ask('SN-1', { profile: 'ldevid' }))).toBe('granted');
  // Its own device brought it: no clone, nobody need look at it.
  expect(await incidents(house)).toEqual([]);
});

test('a device is manufactured with its IDevID and enrolled with its LDevID', async () => {
  using house = await openTestHouse();
  const state = async (serialNumber: string) =>
    (await house.ledger.read.findDevices([{ namespace: 'own', serialNumber }]))[0]?.state;
  await house.grant('SN-1', {
    model: 'P-7',
    batch: 'B1',
    hardware: { hwType: '1.2.3', hwSerialNum: Buffer.from('x') },
  });
  expect(await state('SN-1')).toBe('manufactured');
  await house.grant('SN-1', { profile: 'ldevid' });
  expect(await state('SN-1')).toBe('enrolled');
  await house.grant('SN-2', { profile: 'ldevid' });
  expect(await state('SN-2')).toBe('enrolled');
  const [device] = await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-1' }]);
  expect(device).toMatchObject({ model: 'P-7', batch: 'B1', hardware: { hwType: '1.2.3' } });
});

describe('namespaces', () => {
  test('the same serial number in two of them is two devices: births, permissions and keys stay apart', async () => {
    using house = await openTestHouse();
    const [ours, theirs] = [newKey(), newKey()];
    const own = await house.grant('SN-1', { key: ours });
    const acme = await house.grant('SN-1', { key: theirs, namespace: 'acme' });
    expect(acme.serial).not.toEqual(own.serial);
    const [device] = await house.ledger.read.findDevices([{ namespace: 'acme', serialNumber: 'SN-1' }]);
    await house.ledger.write((tx) => tx.setRebirthAllowed(device?.id ?? 0, true));
    expect(outcomeCode(await house.ask('SN-1'))).toBe('device-already-born');
    expect(outcomeCode(await house.ask('SN-1', { namespace: 'acme' }))).toBe('granted');
  });

  test("a device of one namespace does not get another one's certificate by bringing its key", async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.grant('SN-1', { key });
    expect(outcomeCode(await house.ask('SN-1', { key, namespace: 'acme' }))).toBe('key-in-use');
    expect(only(await incidents(house)).subject).toBe('device:acme/SN-1');
  });

  test('names cannot be made to look alike with a slash in them', async () => {
    using house = await openTestHouse();
    const outcomes = await askAll(house, [
      ['a/SN-1', { namespace: 'own' }],
      ['SN-1', { namespace: 'own/a' }],
    ]);
    expect(outcomes.map(outcomeCode)).toEqual(['granted', 'granted']);
  });
});

test('acts and incidents are written with what they tell of, or not at all', async () => {
  using house = await openTestHouse();
  const key = newKey();
  await house.grant('SN-1', { key });
  const before = await acts(house);
  const failing = {
    ...HAND,
    settle: () => Promise.reject(new BirthmarkError('ledger-full', 'the disk is full')),
  };
  const outcomes = await house.enroll([house.request('SN-2', { key }), house.request('SN-3')], failing);
  expect(outcomes.map(outcomeCode)).toEqual(['ledger-full', 'ledger-full']);
  expect(await acts(house)).toEqual(before);
  expect(await incidents(house)).toEqual([]);
  expect(await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-3' }])).toEqual([
    undefined,
  ]);
  expect(await house.ledger.read.findReserved(10)).toEqual([]);
});

test('an act names who did it, what for, and the serial number of what came of it', async () => {
  using house = await openTestHouse();
  const { serial } = await house.grant('SN-1');
  expect(only((await house.ledger.read.listAudit({ limit: 10 })).items)).toMatchObject({
    actor: 'operator:test',
    action: 'certificate.issue',
    subject: 'device:own/SN-1',
    outcome: 'done',
    facts: { profile: 'idevid', serial: Buffer.from(serial).toString('hex') },
  });
});

test('many lines of many kinds are answered each in its place', async () => {
  using house = await openTestHouse();
  const keys = Array.from({ length: 40 }, () => newKey());
  const asked = Array.from({ length: 120 }, (_, at): readonly [string, Asking] => [
    `SN-${at % 13}`,
    { key: keys[at % 40] ?? newKey(), profile: at % 3 === 0 ? 'ldevid' : 'idevid' },
  ]);
  const together = (await askAll(house, asked)).map(outcomeCode);
  using other = await openTestHouse();
  const alone: string[] = [];
  for (const [serialNumber, asking] of asked) alone.push(outcomeCode(await other.ask(serialNumber, asking)));
  expect(together).toEqual(alone);
  expect(new Set(together).size).toBeGreaterThan(2);
});
