import { expect, test } from 'vitest';
import { DAY_MS } from '../../house.ts';
import { createAgenda } from './agenda.ts';
import { type Chance, seededChance } from './chance.ts';
import { openTrustRoom } from './device-trust.ts';
import { count, FAULTS, type Tally } from './faults.ts';
import { bear } from './fleet.ts';
import { ANNA, openOperators } from './operators.ts';
import { type Finding, type Life, type SimDevice, wake } from './sim-device.ts';
import { noticeConflicts, steal, type Thief, tryDoors } from './thief.ts';
import { openWorld, type World } from './world.ts';

// A fleet through its bad days, in virtual time: answers are lost, devices crash, are off for weeks and have wrong clocks, a gate
// reports nothing, the authority is down for a week, keys are stolen, some thieves renew before their victims do, and the issuing
// CA is rolled over while a tenth of the fleet is off.

const SEED = 20_261_129;
const DEVICES = Number(process.env.BIRTHMARK_SIMULATED_DEVICES ?? 10_000);
const THIEVES = 40;
const HOUR_MS = DAY_MS / 24;
/** What can wait happens together with what is due within this time. */
const TICK_MS = 2 * HOUR_MS;
/** Devices that are under way together: their writes share transactions, as they do in a server. */
const AT_ONCE = 64;

/** The days on which things happen. */
const DAY = {
  thefts: 5,
  foundOut: 8,
  /** The first renewals are due, and nobody is there for a week. */
  down: 25,
  up: 32,
  rotate: 34,
  activate: 35.1,
  /** All that were off are back. */
  retire: 47,
  end: 49,
} as const;

type Act = () => Promise<void>;

test(`of ${DEVICES} devices no healthy one is ever without a working credential, and no thief gets in after the act`, {
  timeout: 600_000,
}, async () => {
  const chance = seededChance(SEED);
  using world = await openWorld(chance);
  const tally: Tally = new Map();
  const findings: Finding[] = [];
  const thieves: Thief[] = [];
  const life: Life = { world, chance, tally, findings, trustRoom: openTrustRoom() };
  const begin = world.now();
  const day = (days: number) => begin + days * DAY_MS;
  const devices = await bear(DEVICES, world, chance, tally);
  const operators = openOperators(world.house, tally);
  const byId = await idsOf(devices, world);
  const agenda = createAgenda<Act>();
  /** What is to happen to the minute. */
  const urgent = createAgenda<Act>();
  let gotIn = 0;

  /** Plans a device's next look at itself; what was planned before is off. */
  const plan = (device: SimDevice, after: number) => {
    device.turn += 1;
    const { turn } = device;
    const at = world.now() + after;
    (after < TICK_MS ? urgent : agenda).add(at, async () => {
      if (device.turn !== turn) return;
      const away = device.off.find(({ from, until }) => from <= world.now() && world.now() < until);
      if (!away) return plan(device, await wake(device, life));
      device.asksWindow = true;
      device.turn += 1;
      const { turn: back } = device;
      urgent.add(away.until, async () => {
        if (device.turn === back) plan(device, await wake(device, life));
      });
    });
  };
  const haunt =
    (thief: Thief): Act =>
    async () => {
      gotIn += await tryDoors(thief, world, tally);
      agenda.add(world.now() + chance.between(1, 3) * DAY_MS, haunt(thief));
    };

  for (const [at, device] of devices.entries()) {
    plan(device, chance.between(0, 2) * DAY_MS);
    switchOff(device, at, { chance, day, tally });
  }
  agenda.add(day(DAY.thefts), async () => {
    for (let at = 0; at < THIEVES; at += 1) {
      const victim = devices[(at * 241) % devices.length];
      if (!victim?.current || victim.stolen) continue;
      const thief = steal(victim, at % 2 === 0 ? 'quiet' : 'renews');
      thieves.push(thief);
      agenda.add(world.now(), haunt(thief));
    }
  });
  agenda.add(day(DAY.foundOut), () => throwOut(thieves, life));
  agenda.add(day(DAY.down), async () => world.goDown());
  agenda.add(day(DAY.up), async () => world.comeUp());
  agenda.add(day(DAY.rotate), () => operators.rotate());
  const runEngine: Act = async () => {
    for (const id of await operators.engineTurn()) {
      const device = byId.get(id);
      if (!device) continue;
      device.asksWindow = true;
      // A broker tells it, where it is connected.
      plan(device, chance.between(0, 2) * HOUR_MS + TICK_MS);
    }
    agenda.add(world.now() + HOUR_MS, runEngine);
  };
  agenda.add(day(DAY.activate), async () => {
    await operators.activateAndStart(DEVICES);
    await runEngine();
  });
  agenda.add(day(DAY.retire), async () => {
    await operators.retireOld();
    await world.gates.sync();
  });

  const end = day(DAY.end);
  for (let nextDay = 1; ; ) {
    const due = Math.min((agenda.next ?? end) + TICK_MS, urgent.next ?? end);
    const now = Math.max(world.now(), Math.min(due, day(nextDay)));
    await world.advance(now);
    const acts = [...urgent.takeUntil(now), ...agenda.takeUntil(now)];
    for (let at = 0; at < acts.length; at += AT_ONCE)
      await Promise.all(acts.slice(at, at + AT_ONCE).map((act) => act()));
    await noticeConflicts(world, thieves, tally);
    if (now < day(nextDay)) continue;
    expect(findings.slice(0, 5), `day ${nextDay}`).toEqual([]);
    expect(gotIn, `times that thieves got in until day ${nextDay}`).toBe(0);
    expect(unseen(devices, world), `day ${nextDay}`).toEqual([]);
    nextDay += 1;
    if (now >= end) break;
  }

  const issuers = new Set(world.caCertificates().map((der) => Buffer.from(der).toString('base64')));
  const lost = devices.filter(
    ({ name, current, isMute, issuers: seen }) =>
      !current ||
      world.gates.connect(current, name, isMute) !== 'ok' ||
      ![...seen].some((one) => issuers.has(one)),
  );
  expect(lost.map(({ name }) => name).slice(0, 5)).toEqual([]);
  const free = thieves.filter(({ actedAt }) => actedAt === undefined);
  expect(free.map(({ victim, manner }) => `${victim.name} ${manner}`)).toEqual([]);
  const standing = world.house.roster.records.filter(({ family }) => family === 'ldevid');
  expect(standing.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'ldevid retired',
    'ldevid-2 current',
  ]);
  if (process.env.BIRTHMARK_SIMULATED_DEVICES) process.stdout.write(`${JSON.stringify([...tally])}\n`);
  expect(FAULTS.filter((fault) => !tally.has(fault))).toEqual([]);
});

async function idsOf(
  devices: readonly SimDevice[],
  { house }: World,
): Promise<ReadonlyMap<number, SimDevice>> {
  const byId = new Map<number, SimDevice>();
  const PIECE = 500;
  for (let at = 0; at < devices.length; at += PIECE) {
    const piece = devices.slice(at, at + PIECE);
    const keys = piece.map(({ name }) => ({ namespace: 'own', serialNumber: name }));
    for (const [of, found] of (await house.ledger.read.findDevices(keys)).entries()) {
      const device = piece[of];
      if (found && device) byId.set(found.id, device);
    }
  }
  return byId;
}

/** A tenth is off when the authority rolls over, some are off at other times, and one in a hundred for longer than a validity. */
function switchOff(
  device: SimDevice,
  at: number,
  { chance, day, tally }: { chance: Chance; day: (days: number) => number; tally: Tally },
): void {
  const off = (from: number, until: number) => device.off.push({ from: day(from), until: day(until) });
  if (at % 10 === 3) {
    count(tally, 'off while the authority rolled over');
    off(33.5, chance.between(37, 46));
  } else if (chance.happens(0.01)) {
    count(tally, 'off for a while');
    off(chance.between(8, 15), chance.between(40, 46.5));
  } else if (chance.happens(0.1)) {
    count(tally, 'off for a while');
    const from = chance.between(3, 20);
    off(from, from + chance.between(3, 25));
  }
}

/** Somebody finds out about those who only listen. */
async function throwOut(thieves: readonly Thief[], { world, tally }: Life): Promise<void> {
  for (const thief of thieves.filter(({ manner }) => manner === 'quiet')) {
    const serial = Buffer.from(thief.hoard[0]?.serial ?? '', 'hex');
    const by = { kind: 'lineage', serial, since: 0 } as const;
    await world.house.revoker({ act: 'revoke', by, reason: 'keyCompromise' }, ANNA);
    thief.actedAt = world.now();
    count(tally, 'thief who listens, thrown out');
  }
  await world.gates.sync();
}

/** Healthy devices that are on and were not let in by a gate for longer than they sleep. */
function unseen(devices: readonly SimDevice[], world: World): readonly string[] {
  const since = world.now() - DAY_MS - 2 * TICK_MS;
  return devices
    .filter(({ stolen, off, letInAt, current }) => {
      const isAway = off.some(({ from, until }) => from <= world.now() && since < until);
      return current && !stolen && !isAway && letInAt < since;
    })
    .map(({ name }) => name)
    .slice(0, 5);
}
