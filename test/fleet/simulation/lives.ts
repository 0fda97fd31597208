import { DAY_MS } from '../../house.ts';
import { type Agenda, createAgenda } from './agenda.ts';
import type { Life, SimDevice } from './sim-device.ts';
import { isWithin } from './spans.ts';
import { type Thief, tryDoors } from './thief.ts';
import { wake } from './wake.ts';

export type Act = () => Promise<void>;

/** What devices and thieves do, together. */
export interface Lives extends Pick<Agenda<Act>, 'next' | 'takeUntil'> {
  /** A device looks at itself for the first time after so long, and from then on by itself. */
  begin(device: SimDevice, after: number): void;
  /** Somebody calls for its renewal, and a broker tells it where it is connected. */
  call(device: SimDevice): void;
  haunt(thief: Thief): void;
  /** How often thieves got in although the house had acted. */
  gotIn(): number;
}

const HOUR_MS = DAY_MS / 24;
/** Who waits is late by a sixteenth of that at most, so that many share a moment. */
const LATE = 1 / 16;

export function openLives(life: Life): Lives {
  const { world, chance } = life;
  const agenda = createAgenda<Act>();
  let gotIn = 0;

  /** Plans a device's next look at itself; what was planned before is off. */
  function plan(device: SimDevice, after: number): void {
    device.turn += 1;
    const { turn } = device;
    const exact = world.now() + after;
    const at = shared(exact, after);
    // That it oversleeps is the story's doing.
    device.vain.push({ from: exact, until: at });
    agenda.add(at, async () => {
      if (device.turn === turn) await look(device);
    });
  }

  /** Who is off sleeps on: it looks when it is switched on. */
  async function look(device: SimDevice): Promise<void> {
    device.turn += 1;
    if (!isWithin(world.now(), device.off)) plan(device, await wake(device, life));
  }

  async function restart(device: SimDevice): Promise<void> {
    device.time = device.start();
    device.asksWindow = true;
    await look(device);
  }

  async function visit(thief: Thief): Promise<void> {
    gotIn += await tryDoors(thief, life);
    agenda.add(world.now() + chance.between(1, 3) * DAY_MS, () => visit(thief));
  }

  return {
    get next() {
      return agenda.next;
    },
    takeUntil: agenda.takeUntil,
    begin(device, after) {
      plan(device, after);
      for (const { until } of device.off) agenda.add(until, () => restart(device));
      const { restartsAt } = device.clock;
      if (restartsAt !== undefined) agenda.add(restartsAt, () => restart(device));
    },
    call(device) {
      device.asksWindow = true;
      plan(device, chance.between(0, 2) * HOUR_MS);
    },
    haunt: (thief) => agenda.add(world.now(), () => visit(thief)),
    gotIn: () => gotIn,
  };
}

/** Rounded up to what many round up to. */
function shared(at: number, after: number): number {
  const grid = 2 ** Math.floor(Math.log2(Math.max(1, after * LATE)));
  return Math.ceil(at / grid) * grid;
}
