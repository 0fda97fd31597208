import { expect, test } from 'vitest';
import { DAY_MS, newKey } from '../../house.ts';
import { createAgenda } from './agenda.ts';
import { type Chance, seededChance } from './chance.ts';
import { type Finding, type SimDevice, wake } from './sim-device.ts';
import { steal, type Thief, tryDoors } from './thief.ts';
import { GATES, openWorld, type World } from './world.ts';

// A fleet through its bad days, in virtual time: answers are lost, devices crash, are off for weeks and have wrong clocks, a gate
// reports nothing, the authority is down for a week, keys are stolen, and some thieves renew before their victims do.

const SEED = 20_261_129;
const DEVICES = Number(process.env.BIRTHMARK_SIMULATED_DEVICES ?? 10_000);
const HOUR_MS = DAY_MS / 24;
const BATCH = 128;
/** By then each device has renewed, most of them twice. */
const END_DAY = 50;
/** What is due within this time happens at the same moment. */
const TICK_MS = HOUR_MS;
/** Devices that are under way together: their writes share transactions, as they do in a server. */
const AT_ONCE = 64;

async function bear(world: World, chance: Chance): Promise<SimDevice[]> {
  const devices: SimDevice[] = [];
  for (let at = 0; at < DEVICES; at += BATCH) {
    const newborn = Array.from({ length: Math.min(BATCH, DEVICES - at) }, (_, of) => ({
      name: `SN-${String(at + of).padStart(6, '0')}`,
      batch: `batch-${Math.floor(((at + of) * 10) / DEVICES)}`,
      key: newKey(),
    }));
    const born = await world.born(newborn);
    for (const [of, { name }] of newborn.entries()) {
      const idevid = born[of];
      if (!idevid) throw new Error(`${name} was not born`);
      devices.push({
        name,
        idevid,
        gate: Math.floor(chance.between(0, GATES)),
        skewMs: clockFault(chance),
        current: undefined,
        candidate: undefined,
        pendingKey: undefined,
        offUntil: 0,
        onSince: 0,
        toldTime: 0,
        stolen: false,
        renewals: 0,
        recoveries: 0,
      });
    }
  }
  return devices;
}

/** One clock in fifty is wrong by a day, one in two hundred by ten years. */
function clockFault(chance: Chance): number {
  const sign = chance.happens(0.5) ? 1 : -1;
  if (chance.happens(0.005)) return sign * 3650 * DAY_MS;
  return chance.happens(0.02) ? sign * DAY_MS : 0;
}

test(`of ${DEVICES} devices no healthy one is ever without a working credential, and no thief gets in after the act`, {
  timeout: 600_000,
}, async () => {
  const chance = seededChance(SEED);
  using world = await openWorld(chance);
  const begin = world.now();
  const day = (days: number) => begin + days * DAY_MS;
  const devices = await bear(world, chance);
  const agenda = createAgenda<() => Promise<void>>();
  const findings: Finding[] = [];
  const thieves: Thief[] = [];
  let gotIn = 0;

  const live =
    (device: SimDevice): (() => Promise<void>) =>
    async () => {
      if (world.now() < device.offUntil) {
        device.onSince = device.offUntil;
        agenda.add(device.offUntil, live(device));
        return;
      }
      const finding = await wake(device, world, chance);
      if (finding) findings.push(finding);
      const soon = !device.current || device.candidate || device.pendingKey;
      agenda.add(
        world.now() + (soon ? chance.between(1, 6) * HOUR_MS : chance.between(0.8, 2) * DAY_MS),
        live(device),
      );
    };
  const haunt =
    (thief: Thief): (() => Promise<void>) =>
    async () => {
      gotIn += await tryDoors(thief, world);
      agenda.add(world.now() + chance.between(1, 3) * DAY_MS, haunt(thief));
    };

  for (const device of devices) {
    agenda.add(begin + chance.between(0, 2) * DAY_MS, live(device));
    if (chance.happens(0.1)) {
      const from = chance.between(3, 20);
      agenda.add(day(from), async () => {
        device.offUntil = day(from + chance.between(3, 25));
      });
    }
  }
  for (let at = 0; at < 40; at += 1) {
    const victim = devices[(at * 241) % devices.length];
    if (!victim) continue;
    agenda.add(day(5), async () => {
      if (!victim.current || victim.stolen) return;
      const thief = steal(victim, at % 2 === 0 ? 'quiet' : 'renews');
      thieves.push(thief);
      agenda.add(world.now(), haunt(thief));
    });
  }
  // Somebody finds out about those who only listen.
  agenda.add(day(8), async () => {
    for (const thief of thieves.filter(({ manner }) => manner === 'quiet')) {
      const serial = Buffer.from(thief.hoard[0]?.serial ?? '', 'hex');
      await world.house.revoker(
        { act: 'revoke', by: { kind: 'lineage', serial, since: 0 }, reason: 'keyCompromise' },
        'operator:anna',
      );
      thief.actedAt = world.now();
    }
    await world.syncGates();
  });
  agenda.add(day(15), async () => {
    world.up = false;
  });
  agenda.add(day(22), async () => {
    world.up = true;
  });

  const end = day(END_DAY);
  while ((agenda.next ?? end) < end) {
    const now = Math.max(world.now(), agenda.next ?? end);
    await world.advance(now + TICK_MS);
    const due = agenda.takeUntil(world.now());
    for (let at = 0; at < due.length; at += AT_ONCE)
      await Promise.all(due.slice(at, at + AT_ONCE).map((act) => act()));
    await noticeConflicts(world, thieves);
  }

  expect(findings.slice(0, 5)).toEqual([]);
  expect(gotIn).toBe(0);
  const lost = devices.filter(
    ({ name, current, candidate, gate }) =>
      ![current, candidate].some((one) => one && world.connect(one, name, gate) === 'ok'),
  );
  expect(lost.map(({ name }) => name).slice(0, 5)).toEqual([]);
});

/** The house acts by itself where it sees two with one identity. */
async function noticeConflicts(world: World, thieves: readonly Thief[]): Promise<void> {
  for (const thief of thieves) {
    if (thief.actedAt !== undefined || thief.manner === 'quiet') continue;
    const device = { namespace: 'own', serialNumber: thief.victim.name };
    const [found] = await world.house.ledger.read.findDevices([device]);
    if (found?.state === 'quarantined' || found?.state === 'recovering') {
      thief.actedAt = world.now();
      await world.syncGates();
    }
  }
}
