// A fleet through its bad days, in virtual time: answers are lost, devices crash, are off for weeks and have wrong clocks, a gate
// reports nothing, the authority is down for a week, keys are stolen, some thieves renew before their victims do, and the issuing
// CA is rolled over while a tenth of the fleet is off.
import { DAY_MS } from '../../house.ts';
import { createAgenda } from './agenda.ts';
import { CALENDAR } from './calendar.ts';
import { seededChance } from './chance.ts';
import { type Chronicle, openChronicle } from './chronicle.ts';
import { openTrustRoom } from './device-trust.ts';
import { bear } from './fleet.ts';
import { ANNA, openOperators } from './operators.ts';
import { type Life, type SimDevice, wake } from './sim-device.ts';
import { isWithin } from './spans.ts';
import { noticeConflicts, steal, type Thief, tryDoors } from './thief.ts';
import { openWorld, PLACE, type World } from './world.ts';

const THIEVES = 40;
const HOUR_MS = DAY_MS / 24;
/** Lives that go on together. */
const AT_ONCE = 256;
/** Who waits is late by a sixteenth of that at most, so that many share a moment. */
const LATE = 1 / 16;

export interface StoryOptions {
  readonly seed: number;
  readonly size: number;
}

/** What is to be looked at when a day is over, and at the end. */
export interface Story extends Disposable {
  readonly world: World;
  readonly chronicle: Chronicle;
  readonly devices: readonly SimDevice[];
  readonly thieves: readonly Thief[];
  /** Those that the campaign still waits for. */
  awaited(): Promise<readonly SimDevice[]>;
  /** How often thieves got in although the house had acted. */
  gotIn(): number;
  /** Goes on until a day is over. */
  tellUntil(day: number): Promise<void>;
}

type Act = () => Promise<void>;

export async function beginStory({ seed, size }: StoryOptions): Promise<Story> {
  const chance = seededChance(seed);
  const world = await openWorld(seed, chance);
  const chronicle = openChronicle(world.now);
  const life: Life = { world, chance, chronicle, trustRoom: openTrustRoom(PLACE) };
  const begin = world.now();
  const day = (days: number) => begin + days * DAY_MS;
  const devices = await bear(size, world, chance, chronicle);
  const operators = openOperators(world.house, chronicle);
  const byId = await idsOf(devices, world);
  const thieves: Thief[] = [];
  /** What devices and thieves do, together. */
  const lives = createAgenda<Act>();
  /** What people and the house do, one after another. */
  const orders = createAgenda<Act>();
  let gotIn = 0;

  /** Plans a device's next look at itself; what was planned before is off. */
  const plan = (device: SimDevice, after: number) => {
    device.turn += 1;
    const { turn } = device;
    const exact = world.now() + after;
    const at = shared(exact, after);
    // That it oversleeps is the story's doing.
    device.vain.push({ from: exact, until: at });
    lives.add(at, async () => {
      if (device.turn === turn) await look(device);
    });
  };
  /** Who is off sleeps on: it looks when it is switched on. */
  const look = async (device: SimDevice) => {
    device.turn += 1;
    if (!isWithin(world.now(), device.off)) plan(device, await wake(device, life));
  };
  const restart: (device: SimDevice) => Promise<void> = (device) => {
    device.time = device.start();
    device.asksWindow = true;
    return look(device);
  };
  const haunt =
    (thief: Thief): Act =>
    async () => {
      gotIn += await tryDoors(thief, life);
      lives.add(world.now() + chance.between(1, 3) * DAY_MS, haunt(thief));
    };

  for (const device of devices) {
    plan(device, chance.between(0, 2) * DAY_MS);
    for (const { until } of device.off) lives.add(until, () => restart(device));
    if (device.clock.restartsAt !== undefined) lives.add(device.clock.restartsAt, () => restart(device));
  }
  orders.add(day(CALENDAR.thefts), async () => {
    for (let at = 0; at < THIEVES; at += 1) {
      const victim = devices[(at * 241) % devices.length];
      if (!victim?.current || victim.stolen) continue;
      const thief = steal(victim, at % 2 === 0 ? 'quiet' : 'renews');
      thieves.push(thief);
      lives.add(world.now(), haunt(thief));
    }
  });
  orders.add(day(CALENDAR.foundOut), () => throwOut(thieves, life));
  orders.add(day(CALENDAR.down), async () => world.goDown());
  orders.add(day(CALENDAR.up), async () => world.comeUp());
  orders.add(day(CALENDAR.rotate), () => operators.rotate());
  const runEngine: Act = async () => {
    for (const id of world.up ? await operators.engineTurn() : []) {
      const device = byId.get(id);
      if (!device) continue;
      device.asksWindow = true;
      // A broker tells it, where it is connected.
      plan(device, chance.between(0, 2) * HOUR_MS);
    }
    orders.add(world.now() + HOUR_MS, runEngine);
  };
  orders.add(day(CALENDAR.activate), async () => {
    await operators.activateAndStart(size);
    await runEngine();
  });
  orders.add(day(CALENDAR.retire), async () => {
    world.retired = { at: world.now(), issuer: await operators.retireOld() };
  });

  async function goOnTo(now: number): Promise<void> {
    await world.advance(now);
    for (const order of orders.takeUntil(now)) await order();
    await world.gates.sync();
    const due = lives.takeUntil(now);
    for (let at = 0; at < due.length; at += AT_ONCE) await world.run(due.slice(at, at + AT_ONCE));
    await noticeConflicts(thieves, life);
  }

  return {
    world,
    chronicle,
    devices,
    thieves,
    awaited: async () => (await operators.openMembers()).flatMap((id) => byId.get(id) ?? []),
    gotIn: () => gotIn,
    async tellUntil(days) {
      const end = day(days);
      while (world.now() < end)
        await goOnTo(Math.max(world.now(), Math.min(lives.next ?? end, orders.next ?? end, end)));
    },
    [Symbol.dispose]: () => world[Symbol.dispose](),
  };
}

/** Rounded up to what many round up to. */
function shared(at: number, after: number): number {
  const grid = 2 ** Math.floor(Math.log2(Math.max(1, after * LATE)));
  return Math.ceil(at / grid) * grid;
}

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

/** Somebody finds out about those who only listen. */
async function throwOut(thieves: readonly Thief[], { world, chronicle }: Life): Promise<void> {
  for (const thief of thieves.filter(({ manner }) => manner === 'quiet')) {
    const serial = Buffer.from(thief.hoard[0]?.serial ?? '', 'hex');
    const by = { kind: 'lineage', serial, since: 0 } as const;
    await world.house.revoker({ act: 'revoke', by, reason: 'keyCompromise' }, ANNA);
    thief.actedAt = world.now();
    chronicle.count('thief who listens, thrown out');
  }
}
