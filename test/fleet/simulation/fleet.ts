import { createTimekeeper, type Timekeeper } from '../../../src/agent/timekeeper.ts';
import { DAY_MS, newKey } from '../../house.ts';
import { CALENDAR } from './calendar.ts';
import type { Chance } from './chance.ts';
import type { Chronicle } from './chronicle.ts';
import type { DeviceTrust } from './device-trust.ts';
import type { SimDevice } from './sim-device.ts';
import type { Span } from './spans.ts';
import type { World } from './world.ts';
import { type WrongClock, wrongClock } from './wrong-clock.ts';

const BATCH = 128;
const BATCHES = 10;
/** One broker in twenty never reports. */
const MUTE = 0.05;
/** As the agent does; other firmware leaves it to the gates. */
const CONFIRMS = 0.3;

/** What decides what happens to a device. */
export interface Fate {
  readonly chance: Chance;
  readonly chronicle: Chronicle;
  /** A day of the story, milliseconds since the epoch. */
  readonly day: (days: number) => number;
}

/** Gives birth to a fleet. Its devices know the root, as their makers put it into the firmware, and no other CA. */
export async function bear(
  size: number,
  world: World,
  chance: Chance,
  chronicle: Chronicle,
): Promise<SimDevice[]> {
  const roots = [...world.house.authorities.values()].filter(({ isRoot }) => isRoot);
  const trust: DeviceTrust = { anchors: roots.map(({ certificate }) => certificate.raw), intermediates: [] };
  const begin = world.now();
  const fate: Fate = { chance, chronicle, day: (days) => Math.round(begin + days * DAY_MS) };
  const devices: SimDevice[] = [];
  for (let at = 0; at < size; at += BATCH) {
    const newborn = Array.from({ length: Math.min(BATCH, size - at) }, (_, of) => ({
      name: `SN-${String(at + of).padStart(6, '0')}`,
      batch: `batch-${Math.floor(((at + of) * BATCHES) / size)}`,
      key: newKey(),
    }));
    const born = await world.born(newborn);
    for (const [of, { name }] of newborn.entries()) {
      const idevid = born[of];
      if (!idevid) throw new Error(`${name} was not born`);
      const off = offSpans(at + of, fate);
      const clock = wrongClock(fate);
      const start = agentsOf(clock, world);
      devices.push({
        name,
        idevid,
        isMute: chance.happens(MUTE),
        confirms: chance.happens(CONFIRMS),
        confirmed: undefined,
        clock,
        start,
        time: start(),
        off,
        current: undefined,
        renewAt: 0,
        candidate: undefined,
        pendingKey: undefined,
        trust,
        asksWindow: false,
        failures: 0,
        vain: [],
        stolen: false,
        letInAt: 0,
        turn: 0,
      });
    }
  }
  return devices;
}

/** A device's agent starts: of what the one before knew it has the latest time, which is on its disk. */
function agentsOf({ skewMs }: WrongClock, { now }: World): () => Timekeeper {
  let seen = 0;
  return () =>
    createTimekeeper({
      clock: () => now() + skewMs(now()),
      elapsed: now,
      seen,
      save: (latest) => {
        seen = latest;
      },
      onWrong: () => undefined,
    });
}

/**
 * When a device is off. A tenth is when the authority rolls over, and a few of it until the old generation was retired; of the
 * others some are off at other times, one in a hundred for longer than a validity, and some from the time on in which they try to
 * renew.
 */
function offSpans(at: number, { chance, chronicle, day }: Fate): Span[] {
  const off = (from: number, until: number) => ({ from: day(from), until: day(until) });
  const beforeRollover = CALENDAR.rotate - 0.5;
  if (at % 10 === 3) {
    chronicle.count('off while the authority rolled over');
    if (!chance.happens(0.1)) return [off(beforeRollover, chance.between(28, CALENDAR.retire))];
    chronicle.count('off until the old generation was retired');
    const back = chance.between(CALENDAR.retire + 0.1, CALENDAR.allBack);
    // What came late to its owner has a certificate that has not ended by then.
    return [off(0, chance.between(6, 12)), off(beforeRollover, back)];
  }
  if (chance.happens(0.01)) {
    chronicle.count('off for a while');
    return [off(chance.between(8, 15), chance.between(39, 46))];
  }
  if (chance.happens(0.02)) {
    chronicle.count('switched off when it was to renew');
    return [off(chance.between(CALENDAR.up - 2, CALENDAR.up + 3), chance.between(41, 46))];
  }
  if (!chance.happens(0.1)) return [];
  chronicle.count('off for a while');
  const from = chance.between(3, 20);
  return [off(from, from + chance.between(3, 25))];
}
