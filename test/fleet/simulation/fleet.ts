import { createTimekeeper } from '../../../src/agent/timekeeper.ts';
import { DAY_MS, newKey } from '../../house.ts';
import type { Chance } from './chance.ts';
import type { DeviceTrust } from './device-trust.ts';
import { count, type Tally } from './faults.ts';
import type { SimDevice } from './sim-device.ts';
import type { World } from './world.ts';

const BATCH = 128;
const BATCHES = 10;
/** One broker in twenty never reports. */
const MUTE = 0.05;

/** Gives birth to a fleet. Its devices know the root, as their makers put it into the firmware, and no other CA. */
export async function bear(size: number, world: World, chance: Chance, tally: Tally): Promise<SimDevice[]> {
  const roots = [...world.house.authorities.values()].filter(({ isRoot }) => isRoot);
  const trust: DeviceTrust = { anchors: roots.map(({ certificate }) => certificate.raw), intermediates: [] };
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
      const skewMs = clockFault(chance, tally);
      devices.push({
        name,
        idevid,
        isMute: chance.happens(MUTE),
        time: createTimekeeper({
          clock: () => world.now() + skewMs,
          seen: 0,
          save: () => undefined,
          onWrong: () => undefined,
        }),
        off: [],
        current: undefined,
        renewAt: 0,
        candidate: undefined,
        pendingKey: undefined,
        trust,
        issuers: new Set(),
        asksWindow: false,
        failures: 0,
        stolen: false,
        letInAt: 0,
        turn: 0,
      });
    }
  }
  return devices;
}

/** One clock in fifty is wrong by a day, one in two hundred by ten years. */
function clockFault(chance: Chance, tally: Tally): number {
  const sign = chance.happens(0.5) ? 1 : -1;
  if (chance.happens(0.005)) {
    count(tally, 'clock wrong by a decade');
    return sign * 3650 * DAY_MS;
  }
  if (!chance.happens(0.02)) return 0;
  count(tally, 'clock wrong by a day');
  return sign * DAY_MS;
}
