import { describe, expect, test } from 'vitest';
import { activateGeneration } from '../../../src/ca/rollover/activate-generation.ts';
import { prepareGeneration } from '../../../src/ca/rollover/prepare-generation.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import type { EnrollmentResult } from '../../../src/enroll/enroller.ts';
import { MOST_SHUT_OUT, SHUT_OUT_WITHIN_MS } from '../../../src/fleet/gate-limit.ts';
import { DAY_MS, newKey, openTestHouse } from '../../house.ts';
import { living, refusalOf } from './living.ts';

const GRACE_MS = 3_600_000;
const LATE_MS = 301_000;

describe('a renewal', () => {
  test('leaves the old certificate good until the new one was seen and the grace is over', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    expect(await life.state('SN-1')).toBe('enrolled');
    await life.see(a);
    expect(await life.state('SN-1')).toBe('active');
    const b = await life.come(a, { renews: true });
    expect([await life.state('SN-1'), await life.rotations('SN-1')]).toEqual(['rotating', ['open']]);
    house.clock.pass(10 * DAY_MS);
    expect(await life.retire()).toBe(0);
    await life.see(b);
    house.clock.pass(GRACE_MS - 1);
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'good']);
    house.clock.pass(1);
    expect([await life.retire(), await life.status(a)]).toEqual([1, 'superseded']);
    expect([await life.state('SN-1'), await life.status(b)]).toEqual(['active', 'good']);
    expect(await life.rotations('SN-1')).toEqual(['retired']);
    expect(await life.incidents()).toEqual([]);
  });

  test('by a first LDevID that nobody saw before shows it in use, and by an IDevID it does not', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, ldevid } = await life.enrolled('SN-1');
    await life.come(idevid, { key: ldevid.key });
    expect(await life.state('SN-1')).toBe('enrolled');
    const same = await life.come(ldevid, { key: ldevid.key });
    expect([same.serial, await life.state('SN-1')]).toEqual([ldevid.serial, 'active']);
    await life.come(ldevid, { renews: true });
    expect(await life.state('SN-1')).toBe('rotating');
  });

  test('retires nothing where the new one is never seen, and the old one goes on', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    await life.come(a, { renews: true });
    house.clock.pass(30 * DAY_MS);
    await life.see(a);
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'good']);
  });

  test('whose answer was lost is the same certificate for the same key', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const key = newKey();
    const b = await life.come(a, { renews: true, key });
    expect((await life.come(a, { renews: true, key })).serial).toEqual(b.serial);
    expect(await life.rotations('SN-1')).toEqual(['open']);
  });

  test('whose key was lost begins another one from the same old certificate, and what was never seen goes with it', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const lost = await life.come(a, { renews: true });
    const b = await life.come(a, { renews: true });
    expect(await life.rotations('SN-1')).toEqual(['open', 'open']);
    await life.see(b);
    house.clock.pass(GRACE_MS);
    expect(await life.retire()).toBe(2);
    expect([await life.status(a), await life.status(lost), await life.status(b)]).toEqual([
      'superseded',
      'superseded',
      'good',
    ]);
    expect([await life.state('SN-1'), await life.incidents()]).toEqual(['active', []]);
  });

  test('by the IDevID, of a device that lost its key, retires the lost one', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, ldevid: a } = await life.enrolled('SN-1');
    await life.see(a);
    const b = await life.come(idevid);
    await life.see(b);
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a), await life.status(b)]).toEqual([
      1,
      'superseded',
      'good',
    ]);
    expect(await life.status(idevid)).toBe('good');
  });

  test('that is used at a door begins the grace as one that a gate sees', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.come(b, { renews: true });
    expect(await life.rotations('SN-1')).toEqual(['used', 'open']);
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a), await life.status(b)]).toEqual([
      1,
      'superseded',
      'good',
    ]);
  });

  test('keeps the old one where the new one was taken back meanwhile, and retires it where it was not', async () => {
    using house = await openTestHouse();
    const life = living(house);
    for (const [serialNumber, takenBack] of [
      ['SN-1', true],
      ['SN-2', false],
    ] as const) {
      const { ldevid: a } = await life.enrolled(serialNumber);
      const b = await life.come(a, { renews: true });
      await life.see(b);
      if (takenBack)
        await house.revoker({ by: { kind: 'serial', serial: b.serial }, act: 'revoke' }, 'operator:test');
      house.clock.pass(GRACE_MS);
      await life.retire();
      expect(await life.status(a)).toBe(takenBack ? 'good' : 'superseded');
    }
  });

  test('keeps the old one where the key of the new one was blocked', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    const { keyHash = new Uint8Array() } = (await house.ledger.read.findBySerial(b.serial)) ?? {};
    await life.see(b);
    await house.ledger.write((tx) => tx.blockKey(keyHash, 'test', house.clock.now()));
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a), await life.rotations('SN-1')]).toEqual([
      0,
      'good',
      ['ended'],
    ]);
  });

  test.each([
    ['keeps the old one', 'revoke', 'good'],
    ['waits', 'hold', 'superseded'],
  ] as const)('%s where the authority of the new one was taken back by a %s', async (_what, act, end) => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    await prepareGeneration(house.rollover, { family: 'ldevid' }, 'operator:test');
    await activateGeneration(house.rollover, { family: 'ldevid', now: true }, 'operator:test');
    const b = await life.come(a, { renews: true });
    await life.see(b);
    const serial = house.authorities.get('ldevid-2')?.certificate.tbs.serial ?? new Uint8Array();
    const by = { kind: 'serial', serial } as const;
    await house.revoker({ by, act, cascade: false }, 'operator:test');
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'good']);
    if (act === 'hold') await house.revoker({ by, act: 'release' }, 'operator:test');
    house.clock.pass(GRACE_MS);
    await life.retire();
    expect(await life.status(a)).toBe(end);
  });

  test('waits while the new one is held, and goes on when it is released', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.see(b);
    const by = { kind: 'serial', serial: b.serial } as const;
    await house.revoker({ by, act: 'hold' }, 'operator:test');
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'good']);
    await house.revoker({ by, act: 'release' }, 'operator:test');
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([1, 'superseded']);
  });

  test('again and again without use keeps a bounded number, the newest, and never the one in use', async () => {
    using house = await openTestHouse({ rotation: { maxUnseen: 2 } });
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const made = [];
    for (let times = 0; times < 4; times += 1) made.push(await life.come(a, { renews: true }));
    const statuses = await Promise.all(made.map((one) => life.status(one)));
    expect(statuses).toEqual(['superseded', 'superseded', 'good', 'good']);
    expect([await life.status(a), await life.incidents()]).toEqual(['good', []]);
  });

  test('over an old one that ended by itself is over', async () => {
    using house = await openTestHouse({ profiles: { ldevid: { validityDays: 10 } } });
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    house.clock.pass(5 * DAY_MS);
    await life.come(a, { renews: true });
    house.clock.pass(6 * DAY_MS);
    expect([await life.retire(), await life.rotations('SN-1')]).toEqual([0, ['ended']]);
    expect([await life.state('SN-1'), await life.status(a)]).toEqual(['enrolled', 'good']);
  });

  test('of one profile leaves the certificates of others alone', async () => {
    using house = await openTestHouse({
      profiles: {
        other: { kind: 'ldevid', authority: 'ldevid', validityDays: 90, extendedKeyUsage: ['clientAuth'] },
      },
    });
    const life = living(house);
    const { idevid, ldevid: a } = await life.enrolled('SN-1');
    const other = await life.come(idevid, { profile: 'other' });
    await life.see(other);
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a), await life.rotations('SN-1')]).toEqual([
      0,
      'good',
      [],
    ]);
  });
});

describe('two that hold one identity', () => {
  test('are found where the old certificate is used after its successor: both are held, nothing retires', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(LATE_MS);
    await life.see(a);
    expect([await life.status(a), await life.status(b), await life.status(idevid)]).toEqual([
      'held',
      'held',
      'good',
    ]);
    expect(await life.state('SN-1')).toBe('quarantined');
    expect(await life.incidents()).toEqual(['two-holders device:own/SN-1']);
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'held']);
    await life.see(a, b);
    expect(await life.incidents()).toHaveLength(1);
  });

  test('are not found within the tolerance of clocks', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(LATE_MS - 1000);
    await life.see(a);
    expect([await life.status(a), await life.state('SN-1'), await life.incidents()]).toEqual([
      'good',
      'rotating',
      [],
    ]);
  });

  test('are found where one batch of a gate tells of both', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.see(a);
    const at = house.clock.now();
    house.clock.pass(2 * LATE_MS);
    await life.tell({ seen: [b], at });
    await life.tell({ seen: [a], at: at + LATE_MS });
    expect(await life.state('SN-1')).toBe('quarantined');
  });

  test('are found where a thief renews first and the device goes on with what it has', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, ldevid: a } = await life.enrolled('SN-1');
    await life.see(a);
    const thiefs = await life.come(a, { renews: true });
    await life.see(thiefs);
    house.clock.pass(LATE_MS);
    expect(await refusalOf(life.come(a, { renews: true }))).toBe('certificate-held');
    expect([await life.status(thiefs), await life.state('SN-1')]).toEqual(['held', 'quarantined']);
    const own = await life.come(idevid);
    expect([await life.state('SN-1'), await life.status(own)]).toEqual(['recovering', 'good']);
    expect([await life.status(a), await life.status(thiefs)]).toEqual(['keyCompromise', 'keyCompromise']);
    expect(await refusalOf(life.come(thiefs))).toBe('certificate-revoked');
    await life.see(own);
    expect([await life.state('SN-1'), await life.rotations('SN-1')]).toEqual(['active', ['ended']]);
  });

  test('are found where what was retired is presented again, at a gate', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(GRACE_MS);
    await life.retire();
    await life.tell({ refused: [a] });
    expect([await life.status(a), await life.status(b)]).toEqual(['superseded', 'held']);
    expect([await life.state('SN-1'), await life.incidents()]).toEqual([
      'quarantined',
      ['two-holders device:own/SN-1'],
    ]);
  });

  test('are told and not shut out any more where one gate has told of very many within an hour', async () => {
    using house = await openTestHouse({ rotation: { graceMs: 0, toleranceMs: 0 } });
    const life = living(house);
    const fleet = Array.from({ length: MOST_SHUT_OUT + 2 }, (_, at) => `SN-${at}`);
    const olds: EnrollmentResult[] = [];
    for (const name of fleet) {
      const { a, b } = await life.renewed(name);
      await life.see(b);
      olds.push(a);
    }
    house.clock.pass(1000);
    const shutOut = async () => {
      const states = await Promise.all(fleet.map((name) => life.state(name)));
      return states.filter((state) => state === 'quarantined').length;
    };
    await life.tell({ refused: olds.slice(0, MOST_SHUT_OUT - 1) });
    expect(await shutOut()).toBe(MOST_SHUT_OUT - 1);
    await life.tell({ refused: olds.slice(0, -1) });
    expect(await shutOut()).toBe(MOST_SHUT_OUT);
    const told = await life.incidents();
    expect(told.filter((one) => one.startsWith('two-holders'))).toHaveLength(MOST_SHUT_OUT + 1);
    expect(told.filter((one) => one.startsWith('gate-quarantines'))).toEqual(['gate-quarantines token:gate']);
    house.clock.pass(SHUT_OUT_WITHIN_MS);
    await life.tell({ refused: olds });
    expect(await shutOut()).toBe(MOST_SHUT_OUT + 1);
  });

  test('are not found where a certificate that nobody renewed is presented', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    await house.revoker({ by: { kind: 'serial', serial: a.serial }, act: 'revoke' }, 'operator:test');
    await life.tell({ refused: [a] });
    expect([await life.state('SN-1'), await life.incidents()]).toEqual(['manufactured', []]);
  });

  test('are found where each made a successor of one certificate and both are used', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const [one, other] = [await life.come(a, { renews: true }), await life.come(a, { renews: true })];
    await life.see(one);
    house.clock.pass(LATE_MS);
    await life.see(other);
    expect([await life.status(one), await life.status(other), await life.status(a)]).toEqual([
      'held',
      'held',
      'held',
    ]);
  });

  test('are found where both successors were obtained with the old key, however close their first uses are', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const [one, other] = [await life.come(a, { renews: true }), await life.come(a, { renews: true })];
    await life.see(one);
    house.clock.pass(1000);
    await life.see(other);
    expect([await life.status(one), await life.status(other), await life.state('SN-1')]).toEqual([
      'held',
      'held',
      'quarantined',
    ]);
  });

  test('are not found where a device came again by its IDevID before its gate told of the first', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid } = await life.enrolled('SN-1');
    const first = await life.come(idevid);
    const usedAt = house.clock.now();
    house.clock.pass(1000);
    const second = await life.come(idevid);
    await life.tell({ seen: [first], at: usedAt });
    await life.see(second);
    expect([await life.status(second), await life.state('SN-1')]).toEqual(['good', 'rotating']);
  });

  test('are reported and left alone where the policy says so, and recover all the same', async () => {
    using house = await openTestHouse({ rotation: { onConflict: 'report' } });
    const life = living(house);
    const { idevid, a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(LATE_MS);
    await life.see(a);
    house.clock.pass(GRACE_MS);
    await life.retire();
    expect([await life.status(a), await life.status(b), await life.incidents()]).toEqual([
      'good',
      'good',
      ['two-holders device:own/SN-1'],
    ]);
    const own = await life.come(idevid);
    expect([await life.status(a), await life.status(b), await life.status(own)]).toEqual([
      'keyCompromise',
      'keyCompromise',
      'good',
    ]);
    expect(await life.state('SN-1')).toBe('recovering');
  });

  test('do not get in by a key that they had', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(LATE_MS);
    await life.see(a);
    expect(await refusalOf(life.come(idevid, { key: b.key }))).toBe('certificate-held');
    await life.come(idevid);
    expect(await refusalOf(life.come(idevid, { key: b.key }))).toBe('key-blocked');
  });
});

describe('a clock that is wrong', () => {
  test.each([
    ['a day ahead', DAY_MS],
    ['a day behind', -DAY_MS],
    ['a decade ahead', 3650 * DAY_MS],
    ['a decade behind', -3650 * DAY_MS],
  ])('of a gate, %s, makes no conflict and hides none', async (_, wrong) => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    // One gate is wrong and says what its clock says; the other is right.
    const atWrongGate = () => ({ at: house.clock.now() + wrong, sentAt: house.clock.now() + wrong });
    await life.tell({ seen: [b], ...atWrongGate() });
    house.clock.pass(LATE_MS - 2000);
    await life.tell({ seen: [a], ...atWrongGate() });
    expect(await life.incidents()).toEqual([]);
    house.clock.pass(2000);
    await life.tell({ seen: [a], ...atWrongGate() });
    expect(await life.incidents()).toEqual(['two-holders device:own/SN-1']);
  });

  test.each([
    ['a decade ahead', 3650 * DAY_MS],
    ['a decade behind', -3650 * DAY_MS],
  ])('of a gate that does not say what it reads, %s, begins the grace now', async (_, wrong) => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.tell({ seen: [b], at: house.clock.now() + wrong });
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'good']);
    house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([1, 'superseded']);
  });

  test('of ours that goes back retires later, and one that goes ahead strands nobody', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(-DAY_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([0, 'good']);
    house.clock.pass(2 * DAY_MS);
    expect([await life.retire(), await life.status(b)]).toEqual([1, 'good']);
  });
});

test('a crash before the conflict is durable leaves nothing of it, and it is found again', async () => {
  using house = await openTestHouse();
  const life = living(house);
  const { a, b } = await life.renewed('SN-1');
  await life.see(b);
  house.clock.pass(LATE_MS);
  const [record] = await Promise.all([house.ledger.read.findBySerial(a.serial)]);
  const use = { certificateId: record?.id ?? 0, at: house.clock.now() };
  const dying = house.ledger.write(async (tx) => {
    await house.uses.note(tx, [use], { actor: 'token:gate', place: 'mqtt', now: house.clock.now() });
    throw new BirthmarkError('ledger-full', 'the disk is full');
  });
  expect(await refusalOf(dying)).toBe('ledger-full');
  expect([await life.status(a), await life.incidents()]).toEqual(['good', []]);
  await life.see(a);
  expect([await life.status(a), (await life.incidents()).length]).toEqual(['held', 1]);
});

test('what is no news is not written', async () => {
  using house = await openTestHouse();
  const life = living(house);
  const { ldevid: a } = await life.enrolled('SN-1');
  await life.see(a);
  let writes = 0;
  const counted = {
    ...house,
    ledger: {
      ...house.ledger,
      write: <T>(work: Parameters<typeof house.ledger.write<T>>[0]) => {
        writes += 1;
        return house.ledger.write(work);
      },
    },
  };
  const watching = living(counted);
  house.clock.pass(3_600_000);
  await watching.see(a);
  expect(writes).toBe(0);
  house.clock.pass(DAY_MS);
  await watching.see(a);
  expect(writes).toBe(1);
});
