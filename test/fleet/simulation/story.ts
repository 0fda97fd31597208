// A fleet through its bad days, in virtual time: answers are lost, devices crash, are off for weeks and have wrong clocks, a gate
// reports nothing, the authority is down for a week, keys are stolen, some thieves renew before their victims do, and the issuing
// CA is rolled over while a tenth of the fleet is off.
import { DAY_MS } from '../../house.ts';
import { type Agenda, createAgenda } from './agenda.ts';
import { CALENDAR } from './calendar.ts';
import { seededChance } from './chance.ts';
import { type Chronicle, openChronicle } from './chronicle.ts';
import { openTrustRoom } from './device-trust.ts';
import { bear } from './fleet.ts';
import { type Act, type Lives, openLives } from './lives.ts';
import { ANNA, type Operators, openOperators } from './operators.ts';
import type { Life, SimDevice } from './sim-device.ts';
import { noticeConflicts, steal, type Thief } from './thief.ts';
import { openWorld, PLACE, type World } from './world.ts';

const THIEVES = 40;
const HOUR_MS = DAY_MS / 24;
/** Lives that go on together. */
const AT_ONCE = 256;

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

export async function beginStory({ seed, size }: StoryOptions): Promise<Story> {
  const chance = seededChance(seed);
  const world = await openWorld(seed, chance);
  const chronicle = openChronicle(world.now);
  const life: Life = { world, chance, chronicle, trustRoom: openTrustRoom(PLACE) };
  const begin = world.now();
  const day = (days: number) => begin + days * DAY_MS;
  const devices = await bear(size, world, chance, chronicle);
  const byId = await idsOf(devices, world);
  const operators = openOperators(world.house, chronicle);
  const lives = openLives(life);
  for (const device of devices) lives.begin(device, chance.between(0, 2) * DAY_MS);
  const thieves: Thief[] = [];
  const called = (ids: readonly number[]) => {
    for (const device of ids.flatMap((id) => byId.get(id) ?? [])) lives.call(device);
  };
  const orders = ordersOf({ life, day, devices, thieves, lives, operators, called });

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
    gotIn: lives.gotIn,
    async tellUntil(days) {
      const end = day(days);
      while (world.now() < end)
        await goOnTo(Math.max(world.now(), Math.min(lives.next ?? end, orders.next ?? end, end)));
    },
    [Symbol.dispose]: () => world[Symbol.dispose](),
  };
}

interface Stage {
  readonly life: Life;
  readonly day: (days: number) => number;
  readonly devices: readonly SimDevice[];
  readonly thieves: Thief[];
  readonly lives: Lives;
  readonly operators: Operators;
  /** Devices, by their ids, that a campaign calls. */
  readonly called: (ids: readonly number[]) => void;
}

/** What people and the house do, one after another. */
function ordersOf({ life, day, devices, thieves, lives, operators, called }: Stage): Agenda<Act> {
  const { world } = life;
  const orders = createAgenda<Act>();
  const runEngine: Act = async () => {
    if (world.up) called(await operators.engineTurn());
    orders.add(world.now() + HOUR_MS, runEngine);
  };
  orders.add(day(CALENDAR.thefts), async () => {
    for (let at = 0; at < THIEVES; at += 1) {
      const victim = devices[(at * 241) % devices.length];
      if (!victim?.current || victim.stolen) continue;
      const thief = steal(victim, at % 2 === 0 ? 'quiet' : 'renews');
      thieves.push(thief);
      lives.haunt(thief);
    }
  });
  orders.add(day(CALENDAR.foundOut), () => throwOut(thieves, life));
  orders.add(day(CALENDAR.down), async () => world.goDown());
  orders.add(day(CALENDAR.up), async () => world.comeUp());
  orders.add(day(CALENDAR.rotate), () => operators.rotate());
  orders.add(day(CALENDAR.activate), async () => {
    await operators.activateAndStart(devices.length);
    await runEngine();
  });
  orders.add(day(CALENDAR.retire), async () => {
    world.retired = { at: world.now(), issuer: await operators.retireOld() };
  });
  return orders;
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
