import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import type { LedgerTx } from '../../../src/enroll/ports.ts';
import { openTestHouse, type TestHouse, testClock } from '../../house.ts';
import { living } from './living.ts';

const GRACE_MS = 3_600_000;
const LATE_MS = 301_000;

/** The real house, whose Nth call of the ledger within units of work fails: what was written before it in that work must not stay. */
function failingAt(
  house: TestHouse,
  nth: number,
): { readonly house: TestHouse; readonly reached: () => boolean } {
  let calls = 0;
  let reached = false;
  const watched = (tx: LedgerTx): LedgerTx =>
    new Proxy(tx, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver);
        if (typeof member !== 'function') return member;
        return (...given: unknown[]) => {
          calls += 1;
          if (calls !== nth) return Reflect.apply(member, target, given);
          reached = true;
          return Promise.reject(new BirthmarkError('ledger-full', 'the disk is full'));
        };
      },
    });
  const { ledger } = house;
  const failing = {
    ...ledger,
    write: <T>(work: (tx: LedgerTx) => Promise<T>) => ledger.write((tx) => work(watched(tx))),
  };
  return { house: { ...house, ledger: failing }, reached: () => reached };
}

/** Does an act with its first call failing, its second, and so on, until it runs through; looks after each failure. */
async function failEachCall(
  house: TestHouse,
  act: (failing: TestHouse) => Promise<unknown>,
  look: () => Promise<void>,
): Promise<number> {
  for (let nth = 1; ; nth += 1) {
    const failing = failingAt(house, nth);
    const outcome = await act(failing.house).then(
      () => 'done',
      ({ code }: BirthmarkError) => code,
    );
    if (!failing.reached()) {
      expect(outcome).toBe('done');
      return nth - 1;
    }
    expect(outcome).toBe('ledger-full');
    await look();
  }
}

describe('a failure between any two writes leaves all or nothing', () => {
  test('of a retirement', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid: a } = await life.enrolled('SN-1');
    await life.come(a, { renews: true });
    const b = await life.come(a, { renews: true });
    await life.see(b);
    house.clock.pass(GRACE_MS);
    const calls = await failEachCall(
      house,
      (failing) => living(failing).retire(),
      async () => {
        expect([await life.status(a), await life.status(b), await life.state('SN-1')]).toEqual([
          'good',
          'good',
          'rotating',
        ]);
        expect(await life.rotations('SN-1')).toEqual(['open', 'used']);
      },
    );
    expect(calls).toBeGreaterThan(8);
    expect([await life.status(a), await life.status(b), await life.state('SN-1')]).toEqual([
      'superseded',
      'good',
      'active',
    ]);
  });

  test('of a first use', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { b } = await life.renewed('SN-1');
    await failEachCall(
      house,
      (failing) => living(failing).see(b),
      async () => expect(await life.rotations('SN-1')).toEqual(['open']),
    );
    expect(await life.rotations('SN-1')).toEqual(['used']);
  });

  test('of a conflict', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { a, b } = await life.renewed('SN-1');
    await life.see(b);
    house.clock.pass(LATE_MS);
    await failEachCall(
      house,
      (failing) => living(failing).see(a),
      async () => {
        expect([await life.status(a), await life.status(b), await life.state('SN-1')]).toEqual([
          'good',
          'good',
          'rotating',
        ]);
        expect(await life.incidents()).toEqual([]);
      },
    );
    expect([await life.status(a), await life.status(b), await life.state('SN-1')]).toEqual([
      'held',
      'held',
      'quarantined',
    ]);
    expect(await life.incidents()).toHaveLength(1);
  });
});

test('two processes that retire, and are told of uses, at once do it once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-two-'));
  const clock = testClock();
  try {
    const path = join(folder, 'ledger.db');
    using one = await openTestHouse({ path, clock });
    using two = await openTestHouse({ path, clock });
    const [life, other] = [living(one), living(two)];
    const names = ['SN-1', 'SN-2', 'SN-3'];
    const olds = [];
    for (const name of names) olds.push((await life.enrolled(name)).ldevid);
    const news = [];
    for (const old of olds) news.push(await life.come(old, { renews: true }));
    await Promise.all([life.see(...news), other.see(...news)]);
    clock.pass(GRACE_MS);
    const retired = await Promise.all([life.retire(), other.retire()]);
    expect(retired.reduce((sum, some) => sum + some, 0)).toBe(names.length);
    expect(await Promise.all(olds.map((old) => life.status(old)))).toEqual(names.map(() => 'superseded'));
    await Promise.all([life.tell({ refused: olds }), other.tell({ refused: olds })]);
    expect([...(await life.incidents())].sort()).toEqual(
      names.map((name) => `two-holders device:own/${name}`),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
