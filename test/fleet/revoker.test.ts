import { describe, expect, test } from 'vitest';
import { DELTA, FULL } from '../../src/ca/crl/scope.ts';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { toHex } from '../../src/core/bytes.ts';
import { operatorAdmission } from '../../src/enroll/admission.ts';
import { certificateAdmission } from '../../src/enroll/certificate-admission.ts';
import { createIdentifier, type DeviceIdentity } from '../../src/enroll/identify.ts';
import type { FleetTx } from '../../src/fleet/ports.ts';
import { createRevoker, type RevocationOrder } from '../../src/fleet/revoker.ts';
import { nameKey } from '../../src/x509/compare-names.ts';
import { readCrl } from '../../src/x509/crl-reader.ts';
import { hashKey } from '../../src/x509/public-key.ts';
import { recordAuthority } from '../ca/record-authority.ts';
import { codeOfAsync, newCsr, newKey, only, openTestHouse, outcomeCode, type TestHouse } from '../house.ts';

const OPERATOR = 'operator:test';

function revoke({ revoker }: TestHouse, order: Omit<RevocationOrder, 'act'> & Partial<RevocationOrder>) {
  return revoker({ act: 'revoke', ...order }, OPERATOR);
}

const bySerial = (serial: Uint8Array) => ({ kind: 'serial', serial }) as const;

/** Recognizes a device by its certificate, as a door does. */
function identify(house: TestHouse, { certificate }: { certificate: Uint8Array }): Promise<DeviceIdentity> {
  const peer = { leaf: certificate, chain: [], via: 'tls' } as const;
  return createIdentifier(house)(peer, { at: house.clock.now(), graceMs: 0 });
}

/** Enrolls a device by a certificate that it has; gives what came out. */
async function enrollBy(house: TestHouse, voucher: { certificate: Uint8Array }, serialNumber: string) {
  const admission = certificateAdmission(await identify(house, voucher), house.watched);
  return only(await house.enroll([house.request(serialNumber, { profile: 'ldevid' })], admission));
}

async function grantBy(house: TestHouse, voucher: { certificate: Uint8Array }, serialNumber: string) {
  const outcome = await enrollBy(house, voucher, serialNumber);
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

async function statusOf({ ledger }: TestHouse, { serial }: { serial: Uint8Array }): Promise<string> {
  const record = await ledger.read.findBySerial(serial);
  const [found] = await ledger.read.findStatuses(record?.authority ?? '', [serial]);
  if (found?.status !== 'revoked') return found?.status ?? '';
  return found.revocation.held ? 'held' : (found.revocation.reason ?? 'unspecified');
}

/** What a published list says of a certificate: the number of the reason, or nothing. */
async function listed(
  { ledger, authorities }: TestHouse,
  { serial }: { serial: Uint8Array },
  scope?: string,
): Promise<number | undefined> {
  const record = await ledger.read.findBySerial(serial);
  const authority = authorities.get(record?.authority ?? '');
  const crl = await ledger.read.findCrl(record?.authority ?? '', scope ?? String(record?.shard));
  if (!authority || !crl) throw new Error('there is no list');
  return readCrl(crl.crl).find(nameKey(authority.certificate.tbs.subject), serial)?.reason;
}

describe('a revocation', () => {
  test('of one certificate takes that one, says when and why, and leaves its neighbour', async () => {
    using house = await openTestHouse();
    await publishDueCrls(house.crls, house.clock.now());
    const [thief, neighbour] = [await house.grant('SN-1'), await house.grant('SN-2')];
    house.clock.pass(10_500);
    const now = house.clock.now();
    const result = await revoke(house, {
      by: bySerial(thief.serial),
      reason: 'privilegeWithdrawn',
      invalidityAt: now - 9000,
      discoveredAt: now - 5000,
    });
    expect(result).toEqual({
      changed: 1,
      unchanged: 0,
      final: 0,
      profiles: { idevid: 1 },
      serials: [toHex(thief.serial)],
      published: true,
    });
    expect([await statusOf(house, thief), await statusOf(house, neighbour)]).toEqual([
      'privilegeWithdrawn',
      'good',
    ]);
    const record = await house.ledger.read.findBySerial(thief.serial);
    expect(await house.ledger.read.findRevocations([record?.id ?? 0])).toMatchObject([
      {
        revokedAt: Math.floor(now / 1000) * 1000,
        invalidityAt: now - 9000,
        discoveredAt: now - 5000,
        decidedAt: now,
        recordedAt: now,
        publishedAt: now,
        by: OPERATOR,
      },
    ]);
    expect([await listed(house, thief), await listed(house, neighbour)]).toEqual([9, undefined]);
    const { items } = await house.ledger.read.listAudit({ limit: 1000 });
    expect(items.at(-1)).toMatchObject({
      actor: OPERATOR,
      action: 'certificate.revoke',
      subject: `certificate:${toHex(thief.serial)}`,
      facts: { reason: 'privilegeWithdrawn', holder: 'SN-1' },
    });
  });

  test('said twice changes nothing, and says so', async () => {
    using house = await openTestHouse();
    const granted = await house.grant('SN-1');
    await revoke(house, { by: bySerial(granted.serial), reason: 'superseded' });
    house.clock.pass(5000);
    const before = await house.ledger.read.listStatusChanges(0, 100);
    for (const reason of ['superseded', 'affiliationChanged'] as const) {
      const again = await revoke(house, { by: bySerial(granted.serial), reason });
      expect(again).toMatchObject({ changed: 0, unchanged: 1, published: true });
    }
    expect(await house.ledger.read.listStatusChanges(0, 100)).toEqual(before);
    expect(await statusOf(house, granted)).toBe('superseded');
  });

  test('for keyCompromise blocks the key for ever, also where it was revoked for less before', async () => {
    using house = await openTestHouse();
    const [key, other] = [newKey(), newKey()];
    const granted = await house.grant('SN-1', { key });
    await house.grant('SN-2', { key: other });
    await revoke(house, { by: bySerial(granted.serial), reason: 'superseded' });
    expect(outcomeCode(await house.ask('SN-1', { key, profile: 'ldevid' }))).toBe('key-in-use');
    expect(await revoke(house, { by: bySerial(granted.serial), reason: 'keyCompromise' })).toMatchObject({
      changed: 1,
    });
    expect(outcomeCode(await house.ask('SN-1', { key, profile: 'ldevid' }))).toBe('key-blocked');
    expect(outcomeCode(await house.ask('SN-9', { csr: newCsr(key) }))).toBe('key-blocked');
    expect(outcomeCode(await house.ask('SN-2', { key: other }))).toBe('granted');
  });

  test('of an IDevID for keyCompromise takes what it vouched for, and for another reason does not', async () => {
    using house = await openTestHouse();
    const families = await Promise.all(
      ['SN-1', 'SN-2', 'SN-3', 'SN-4'].map(async (serialNumber) => {
        const idevid = await house.grant(serialNumber);
        const ldevid = await grantBy(house, idevid, serialNumber);
        return { idevid, ldevid, renewed: await grantBy(house, ldevid, serialNumber) };
      }),
    );
    const orders = [
      [{ reason: 'keyCompromise' }, 'keyCompromise'],
      [{ reason: 'keyCompromise', cascade: false }, 'good'],
      [{ reason: 'superseded' }, 'good'],
      [{ reason: 'superseded', cascade: true }, 'superseded'],
    ] as const;
    for (const [at, [order, expected]] of orders.entries()) {
      const family = families[at];
      if (!family) throw new Error('there is no family');
      const dry = await revoke(house, { by: bySerial(family.idevid.serial), ...order, dryRun: true });
      expect(await statusOf(house, family.idevid)).toBe('good');
      const done = await revoke(house, { by: bySerial(family.idevid.serial), ...order });
      expect(dry).toEqual(done);
      expect(done.changed).toBe(expected === 'good' ? 1 : 3);
      expect(await statusOf(house, family.idevid)).toBe(order.reason);
      expect([await statusOf(house, family.ldevid), await statusOf(house, family.renewed)]).toEqual([
        expected,
        expected,
      ]);
    }
  });

  test('of a lineage takes what was issued since a time, and the certificate itself', async () => {
    using house = await openTestHouse();
    const idevid = await house.grant('SN-1');
    const old = await grantBy(house, idevid, 'SN-1');
    house.clock.pass(10_000);
    const since = house.clock.now();
    const young = await grantBy(house, old, 'SN-1');
    const by = { kind: 'lineage', serial: idevid.serial, since } as const;
    expect(await revoke(house, { by, reason: 'keyCompromise' })).toMatchObject({ changed: 2 });
    expect([await statusOf(house, old), await statusOf(house, young)]).toEqual(['good', 'keyCompromise']);
  });

  test('by device, key, batch or authority takes all of theirs and nobody else', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const [one, two, three] = [
      await house.grant('SN-1', { batch: 'B-1' }),
      await house.grant('SN-2', { batch: 'B-2' }),
      await house.grant('SN-3', { key }),
    ];
    const two2 = await grantBy(house, two, 'SN-2');
    const all = async () => Promise.all([one, two, two2, three].map((granted) => statusOf(house, granted)));
    await revoke(house, { by: { kind: 'batch', batch: 'B-1' } });
    expect(await all()).toEqual(['unspecified', 'good', 'good', 'good']);
    const device = { namespace: 'own', serialNumber: 'SN-2' };
    await revoke(house, { by: { kind: 'device', device }, reason: 'cessationOfOperation' });
    expect(await all()).toEqual(['unspecified', 'cessationOfOperation', 'cessationOfOperation', 'good']);
    await revoke(house, { by: { kind: 'key', keyHash: hashKey(key.spki) }, reason: 'superseded' });
    expect((await all())[3]).toBe('superseded');
    const last = await house.grant('SN-4');
    const result = await revoke(house, { by: { kind: 'authority', authority: 'idevid' }, limit: 500 });
    expect(result).toMatchObject({ changed: 1, unchanged: 3 });
    expect(await statusOf(house, last)).toBe('unspecified');
  });

  test('of many is recorded piece by piece, each at its own time, and was decided once', async () => {
    using house = await openTestHouse();
    // More than a piece has; time goes on while the first one is written.
    const requests = Array.from({ length: 501 }, (_, at) => house.request(`SN-${at}`, { batch: 'B-1' }));
    await house.enroll(requests, operatorAdmission(OPERATOR));
    const slow = {
      read: house.ledger.read,
      write: async <T>(work: (tx: FleetTx) => Promise<T>) => {
        const done = await house.ledger.write(work);
        house.clock.pass(60_000);
        return done;
      },
    };
    const revoker = createRevoker({
      ledger: slow,
      crls: house.crls,
      idevidProfiles: house.issuing.idevidProfiles,
      clock: house.clock.now,
      onUnpublished: () => undefined,
    });
    const begin = house.clock.now();
    expect(await revoker({ act: 'revoke', by: { kind: 'batch', batch: 'B-1' } }, OPERATOR)).toMatchObject({
      changed: 501,
    });
    const all = await house.ledger.read.listTakenBack({ endedBefore: 0, limit: 1000 });
    expect(new Set(all.map(({ decidedAt }) => decidedAt))).toEqual(new Set([begin]));
    expect(new Set(all.map(({ recordedAt }) => recordedAt - begin))).toEqual(new Set([0, 60_000, 120_000]));
    expect(all.at(-1)).toMatchObject({ revokedAt: begin + 120_000 });
    const { cursor } = await house.ledger.read.listAudit({ limit: 1000 });
    const { items } = await house.ledger.read.listAudit({ limit: 1000, ...(cursor && { cursor }) });
    expect(items.at(-1)).toMatchObject({ action: 'certificate.revoke', at: begin + 120_000 });
  });

  test('of many goes on elsewhere behind its first piece, was decided once, and is told as one', async () => {
    using house = await openTestHouse();
    const requests = Array.from({ length: 40 }, (_, at) => house.request(`SN-${at}`, { batch: 'B-1' }));
    await house.enroll(requests, operatorAdmission(OPERATOR));
    const orders: RevocationOrder[] = [];
    const revoker = createRevoker({
      ledger: house.ledger,
      crls: house.crls,
      idevidProfiles: house.issuing.idevidProfiles,
      clock: house.clock.now,
      pieceOf: 15,
      elsewhere: (order, actor) => {
        orders.push(order);
        house.clock.pass(60_000);
        return house.revoker(order, actor);
      },
      onUnpublished: () => undefined,
    });
    const begin = house.clock.now();
    const by = { kind: 'batch', batch: 'B-1' } as const;
    expect(await revoker({ act: 'revoke', by, dryRun: true }, OPERATOR)).toMatchObject({ changed: 40 });
    expect(orders).toEqual([]);
    const { next, ...part } = await revoker({ act: 'revoke', by, limit: 20 }, OPERATOR);
    expect(part).toMatchObject({ changed: 20, profiles: { idevid: 20 }, published: false });
    expect(orders).toMatchObject([{ limit: 5 }]);
    const all = await revoker({ act: 'revoke', by }, OPERATOR);
    expect(all).toMatchObject({ changed: 20, unchanged: 20, profiles: { idevid: 20 }, published: true });
    expect([next !== undefined, all.next, all.serials.length]).toEqual([true, undefined, 20]);
    const found = await house.ledger.read.listTakenBack({ endedBefore: 0, limit: 1000 });
    expect(new Set(found.map(({ decidedAt }) => decidedAt - begin))).toEqual(new Set([0, 60_000]));
    expect(new Set(found.map(({ recordedAt }) => recordedAt - begin))).toEqual(new Set([0, 60_000, 120_000]));
    // Few are done where they are asked for.
    await house.grant('SN-X', { batch: 'B-2' });
    const few = { kind: 'batch', batch: 'B-2' } as const;
    expect(await revoker({ act: 'revoke', by: few }, OPERATOR)).toMatchObject({
      changed: 1,
      published: true,
    });
    expect(orders).toHaveLength(2);
  });

  test('of a key that nobody has seen blocks it where it is known to be out', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const by = { kind: 'key', keyHash: hashKey(key.spki) } as const;
    expect(await codeOfAsync(revoke(house, { by, reason: 'superseded' }))).toBe('not-found');
    expect(await revoke(house, { by, reason: 'keyCompromise' })).toMatchObject({ changed: 0 });
    expect(outcomeCode(await house.ask('SN-1', { key }))).toBe('key-blocked');
  });

  test('of a CA is in the full list of its issuer at once, and a root is not on its own', async () => {
    using house = await openTestHouse();
    await publishDueCrls(house.crls, house.clock.now());
    const { serial } = await recordAuthority(house, 'ldevid');
    const root = await recordAuthority(house, 'root');
    expect(await revoke(house, { by: bySerial(serial), reason: 'cACompromise' })).toMatchObject({
      changed: 1,
      published: true,
    });
    expect(await listed(house, { serial }, FULL)).toBe(2);
    expect(await codeOfAsync(revoke(house, { by: bySerial(root.serial) }))).toBe('bad-request');
  });

  test.each([
    ['an unknown certificate', { by: bySerial(Uint8Array.of(1)) }, 'not-found'],
    [
      'an unknown device',
      { by: { kind: 'device', device: { namespace: 'own', serialNumber: 'SN-0' } } },
      'device-unknown',
    ],
    ['an unknown batch', { by: { kind: 'batch', batch: 'B-0' } }, 'not-found'],
    ['a time to come', { by: bySerial(Uint8Array.of(1)), invalidityAt: Date.UTC(2999, 1) }, 'bad-request'],
  ] as const)('of %s is refused', async (_title, order, code) => {
    using house = await openTestHouse();
    expect(await codeOfAsync(revoke(house, order))).toBe(code);
  });
});

describe('a hold', () => {
  test('is listed as one, becomes final with the day of the hold, and is then never released', async () => {
    using house = await openTestHouse();
    await publishDueCrls(house.crls, house.clock.now());
    const granted = await house.grant('SN-1');
    const by = bySerial(granted.serial);
    const heldAt = Math.floor(house.clock.now() / 1000) * 1000;
    expect(await house.revoker({ act: 'hold', by }, OPERATOR)).toMatchObject({ changed: 1 });
    expect(await house.revoker({ act: 'hold', by }, OPERATOR)).toMatchObject({ changed: 0, unchanged: 1 });
    expect([await statusOf(house, granted), await listed(house, granted)]).toEqual(['held', 6]);
    house.clock.pass(50_000);
    await revoke(house, { by, reason: 'cessationOfOperation' });
    expect(await listed(house, granted)).toBe(5);
    const record = await house.ledger.read.findBySerial(granted.serial);
    expect(await house.ledger.read.findRevocations([record?.id ?? 0])).toMatchObject([
      { revokedAt: heldAt, recordedAt: house.clock.now(), held: false },
    ]);
    expect(await codeOfAsync(house.revoker({ act: 'release', by }, OPERATOR))).toBe('certificate-revoked');
    expect(await house.revoker({ act: 'hold', by }, OPERATOR)).toMatchObject({ changed: 0 });
    expect(await statusOf(house, granted)).toBe('cessationOfOperation');
  });

  test('that becomes final keeps when it was published and enforced first', async () => {
    using house = await openTestHouse();
    await publishDueCrls(house.crls, house.clock.now());
    const granted = await house.grant('SN-1');
    const by = bySerial(granted.serial);
    await house.revoker({ act: 'hold', by }, OPERATOR);
    const { id = 0 } = (await house.ledger.read.findBySerial(granted.serial)) ?? {};
    const [held] = await house.ledger.read.findRevocations([id]);
    if (!held) throw new Error('it is not held');
    const firsts = { publishedAt: house.clock.now(), enforcedAt: house.clock.now() + 700 };
    await house.ledger.write((tx) => tx.putRevocations([{ ...held, enforcedAt: firsts.enforcedAt }]));
    house.clock.pass(50_000);
    await revoke(house, { by, reason: 'cessationOfOperation' });
    expect(await house.ledger.read.findRevocations([id])).toMatchObject([{ held: false, ...firsts }]);
  });

  test('that is released leaves the certificate good, and off the next list', async () => {
    using house = await openTestHouse();
    await publishDueCrls(house.crls, house.clock.now());
    const granted = await house.grant('SN-1');
    const by = bySerial(granted.serial);
    await house.revoker({ act: 'hold', by }, OPERATOR);
    expect(await house.revoker({ act: 'release', by }, OPERATOR)).toMatchObject({ changed: 1 });
    expect(await house.revoker({ act: 'release', by }, OPERATOR)).toMatchObject({ changed: 0, unchanged: 1 });
    expect([await statusOf(house, granted), await listed(house, granted)]).toEqual(['good', undefined]);
  });
});

describe('a door', () => {
  test.each([
    ['revoke', 'certificate-revoked'],
    ['hold', 'certificate-held'],
  ] as const)('hears no certificate after a %s, and its neighbour still', async (act, code) => {
    using house = await openTestHouse();
    const [thief, neighbour] = [await house.grant('SN-1'), await house.grant('SN-2')];
    await house.revoker({ act, by: bySerial(thief.serial) }, OPERATOR);
    expect(await codeOfAsync(identify(house, thief))).toBe(code);
    expect(outcomeCode(await enrollBy(house, neighbour, 'SN-2'))).toBe('granted');
    if (act === 'revoke') return;
    await house.revoker({ act: 'release', by: bySerial(thief.serial) }, OPERATOR);
    expect(outcomeCode(await enrollBy(house, thief, 'SN-1'))).toBe('granted');
  });

  test.each([
    ['revoke', 'certificate-revoked'],
    ['hold', 'certificate-held'],
  ] as const)('that admitted a device before a %s reserves nothing after it', async (act, code) => {
    using house = await openTestHouse();
    const [thief, neighbour] = [await house.grant('SN-1'), await house.grant('SN-2')];
    const admitted = [
      certificateAdmission(await identify(house, thief), house.watched),
      certificateAdmission(await identify(house, neighbour), house.watched),
    ];
    await house.revoker({ act, by: bySerial(thief.serial) }, OPERATOR);
    const outcomes: string[] = [];
    for (const [at, admission] of admitted.entries()) {
      const request = house.request(`SN-${at + 1}`, { profile: 'ldevid' });
      outcomes.push(outcomeCode(only(await house.enroll([request], admission))));
    }
    expect(outcomes).toEqual([code, 'granted']);
  });
});

test('an act in parts publishes once, with its last part; what was cut short is published by upkeep', async () => {
  using house = await openTestHouse({ shards: 1 });
  await publishDueCrls(house.crls, house.clock.now());
  const granted = await Promise.all(
    ['SN-1', 'SN-2', 'SN-3'].map((name) => house.grant(name, { batch: 'B' })),
  );
  const numberOf = async (scope: string) => (await house.ledger.read.findCrl('idevid', scope))?.number;
  const part = (after?: number) =>
    revoke(house, {
      by: { kind: 'batch', batch: 'B' },
      limit: 1,
      ...(after !== undefined && { after }),
    });
  const first = await part();
  expect(first).toMatchObject({ published: false });
  expect([await numberOf('0'), await numberOf(DELTA)]).toEqual([1, 2]);
  let last = first;
  while (last.next !== undefined) last = await part(last.next);
  expect(last).toMatchObject({ published: true });
  expect([await numberOf('0'), await numberOf(DELTA)]).toEqual([2, 3]);
  for (const one of granted)
    expect([await listed(house, one), await listed(house, one, DELTA)]).toEqual([0, 0]);

  const cutShort = await house.grant('SN-4', { batch: 'C' });
  await house.grant('SN-5', { batch: 'C' });
  await revoke(house, { by: { kind: 'batch', batch: 'C' }, limit: 1 });
  expect(await listed(house, cutShort)).toBeUndefined();
  house.clock.pass(5000);
  // While it may go on it is left alone, and not for long.
  expect(await publishDueCrls(house.crls, house.clock.now(), { acting: true })).toBe(0);
  await publishDueCrls(house.crls, house.clock.now());
  expect([await listed(house, cutShort), await listed(house, cutShort, DELTA)]).toEqual([0, 0]);
  await revoke(house, { by: { kind: 'batch', batch: 'C' }, reason: 'keyCompromise', limit: 1 });
  house.clock.pass(30_000);
  expect(await publishDueCrls(house.crls, house.clock.now(), { acting: true })).toBe(2);
});

test('the full list waits for its bound, the shard and the delta do not', async () => {
  using house = await openTestHouse();
  await publishDueCrls(house.crls, house.clock.now());
  const granted = await house.grant('SN-1');
  house.clock.pass(10_000);
  await revoke(house, { by: bySerial(granted.serial) });
  expect([await listed(house, granted), await listed(house, granted, DELTA)]).toEqual([0, 0]);
  expect(await publishDueCrls(house.crls, house.clock.now())).toBe(0);
  expect(await listed(house, granted, FULL)).toBeUndefined();
  house.clock.pass(50_000);
  expect(await publishDueCrls(house.crls, house.clock.now())).toBe(2);
  expect(await listed(house, granted, FULL)).toBe(0);
  expect(await publishDueCrls(house.crls, house.clock.now())).toBe(0);
});

test('an entry leaves the list one issue after its certificate ended, and not before', async () => {
  using house = await openTestHouse();
  await publishDueCrls(house.crls, house.clock.now());
  const idevid = await house.grant('SN-1');
  const ldevid = await grantBy(house, idevid, 'SN-1');
  for (const { serial } of [idevid, ldevid]) await revoke(house, { by: bySerial(serial) });
  const end = (await house.ledger.read.findBySerial(ldevid.serial))?.notAfter ?? 0;
  house.clock.pass(end - house.clock.now() + 1000);
  await publishDueCrls(house.crls, house.clock.now());
  expect(await listed(house, ldevid)).toBe(0);
  for (let issue = 0; issue < 3; issue += 1) {
    house.clock.pass(6 * 3_600_000);
    await publishDueCrls(house.crls, house.clock.now());
  }
  expect([await listed(house, ldevid), await listed(house, idevid)]).toEqual([undefined, 0]);
});
