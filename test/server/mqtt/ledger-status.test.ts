import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { RevocationReads } from '../../../src/ca/revocation/ports.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { followLedger } from '../../../src/server/mqtt/ledger-status.ts';
import { createStatusTail } from '../../../src/server/status/status-tail.ts';
import { openTestHouse, type TestHouse } from '../../house.ts';

async function openHouse(): Promise<TestHouse> {
  const house = await openTestHouse();
  onTestFinished(() => house[Symbol.dispose]());
  return house;
}

function follow(house: TestHouse, slow: Partial<RevocationReads> = {}) {
  const ledger = { ...house.ledger.read, ...slow };
  const faults: unknown[] = [];
  const changes: string[] = [];
  let replaced = 0;
  const onFault = (error: unknown) => void faults.push(error);
  const { now } = house.clock;
  const steady = createSteadyClock(now, now);
  const tail = createStatusTail({ ledger, clock: now, steady, onFault, lookEveryMs: 5, beatMs: 20 });
  const status = followLedger({
    ledger,
    authorities: house.authorities,
    tail,
    holders: true,
    clock: house.clock.now,
    onChange: ({ serial }) => void changes.push(serial),
    onReplaced: () => {
      replaced += 1;
    },
    onFault,
  });
  onTestFinished(() => status.stop());
  return { status, faults, changes, replaced: () => replaced };
}

const revoke = (house: TestHouse, serial: Uint8Array) =>
  house.revoker({ act: 'revoke', by: { kind: 'serial', serial } }, 'system');

describe('what the house knows of statuses', () => {
  test('is nothing before all was read, and then all of it, by certificate and by name', async () => {
    const house = await openHouse();
    const [bad, good] = [await house.grant('SN-1'), await house.grant('SN-2')];
    await revoke(house, bad.serial);
    const gate = Promise.withResolvers<void>();
    const { status, replaced } = follow(house, {
      listTakenBack: async (search) => {
        await gate.promise;
        return house.ledger.read.listTakenBack(search);
      },
    });
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    expect([status.known(), replaced()]).toEqual([undefined, 0]);
    gate.resolve();
    await status.read;
    const known = status.known();
    const statusOf = async (serial: Uint8Array) => {
      const one = await house.ledger.read.findBySerial(serial);
      const issuerKeyId = house.authorities.get('idevid')?.keyId;
      if (!one || !issuerKeyId) throw new Error('no certificate');
      return known?.table.statusOf({ issuerKeyId, serial, keyHash: one.keyHash }).status;
    };
    expect([await statusOf(bad.serial), await statusOf(good.serial)]).toEqual(['revoked', 'good']);
    expect(known?.names?.statusOf({ namespace: 'own', id: 'SN-1' })).toBe('revoked');
    expect(known?.names?.statusOf({ namespace: 'own', id: 'SN-2' })).toBeUndefined();
    expect(replaced()).toBe(1);
  });

  test('is in step with what comes behind it', async () => {
    const house = await openHouse();
    const { serial } = await house.grant('SN-1');
    const { status, changes } = follow(house);
    await status.read;
    await revoke(house, serial);
    await expect.poll(() => changes).toEqual([toHex(serial)]);
    expect(status.known()?.table.position.sequence).toBe(1);
  });

  test('is tried for again where the ledger fails, and nothing meanwhile', async () => {
    const house = await openHouse();
    let failures = 1;
    const { status, faults } = follow(house, {
      listTakenBack: (search) => {
        failures -= 1;
        return failures < 0
          ? house.ledger.read.listTakenBack(search)
          : Promise.reject(new Error('the disk is away'));
      },
    });
    await expect.poll(() => faults.length).toBe(1);
    expect(status.known()).toBeUndefined();
    await status.read;
    expect(status.known()).toBeDefined();
  });

  test('ends while it is read', async () => {
    const house = await openHouse();
    const gate = Promise.withResolvers<void>();
    const { status } = follow(house, {
      listTakenBack: async () => {
        await gate.promise;
        return [];
      },
    });
    const stopped = status.stop();
    gate.resolve();
    await stopped;
    await status.read;
  });
});
