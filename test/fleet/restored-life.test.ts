import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { settleReplayed } from '../../src/fleet/settle-devices.ts';
import { openTestHouse, testClock } from '../house.ts';
import { living } from './rotation/living.ts';

const GRACE_MS = 3_600_000;

test('an old ledger under its record has states, rotations, quarantines and dead tickets as they were, as far as they follow', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-life-'));
  const [path, copy, record] = [
    join(folder, 'ledger.db'),
    join(folder, 'copy.db'),
    join(folder, 'ledger.record'),
  ];
  const clock = testClock();
  const names = ['renewed', 'retired', 'quarantined', 'released', 'lost', 'untouched'] as const;
  const killed = clock.now();
  try {
    {
      using house = await openTestHouse({ path, record, clock });
      const life = living(house);
      const own = (serialNumber: string) => ({ namespace: 'own', serialNumber });
      const first = new Map(
        await Promise.all(names.map(async (name) => [name, await life.enrolled(name)] as const)),
      );
      house.ledger.checkpoint();
      copyFileSync(path, copy);
      const old = first.get('renewed');
      if (!old) throw new Error('it is there');
      const next = await life.come(old.ldevid, { renews: true });
      await life.see(next);
      clock.pass(GRACE_MS);
      await life.retire();
      const open = await life.come(next, { renews: true });
      expect(open.serial).not.toEqual(next.serial);
      await house.deviceDesk('retire', own('retired'), 'operator:anna');
      await house.deviceDesk('quarantine', own('quarantined'), 'operator:anna');
      await house.deviceDesk('quarantine', own('released'), 'operator:anna');
      await house.deviceDesk('release', own('released'), 'operator:anna');
      await house.deviceDesk('recoverLdevid', own('lost'), 'operator:anna');
    }
    for (const end of ['-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    copyFileSync(copy, path);
    using restored = await openTestHouse({ path, record, clock });
    const life = living(restored);
    expect(
      await settleReplayed(restored.ledger, restored.issuing.idevidProfiles, clock.now()),
    ).toBeGreaterThan(0);
    expect(
      Object.fromEntries(await Promise.all(names.map(async (name) => [name, await life.state(name)]))),
    ).toEqual({
      renewed: 'rotating',
      retired: 'retired',
      quarantined: 'quarantined',
      released: 'enrolled',
      lost: 'compromised',
      untouched: 'enrolled',
    });
    expect(await life.rotations('renewed')).toEqual(['ended', 'open']);
    const devices = await restored.ledger.read.findDevices(
      names.map((serialNumber) => ({ namespace: 'own', serialNumber })),
    );
    const idOf = (name: (typeof names)[number]) => devices[names.indexOf(name)]?.id ?? 0;
    expect((await restored.ledger.read.findQuarantine(idOf('quarantined')))?.held).toHaveLength(2);
    expect(await restored.ledger.read.findQuarantine(idOf('released'))).toBeUndefined();
    expect(devices[names.indexOf('lost')]?.ticketsAfter).toBeGreaterThan(killed);
    expect(devices[names.indexOf('untouched')]?.ticketsAfter).toBe(0);
    const release = restored.deviceDesk(
      'release',
      { namespace: 'own', serialNumber: 'quarantined' },
      'operator:anna',
    );
    expect(await release).toMatchObject({ state: 'enrolled', changed: 2 });
    expect(await settleReplayed(restored.ledger, restored.issuing.idevidProfiles, clock.now())).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
