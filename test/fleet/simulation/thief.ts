import { newKey } from '../../house.ts';
import type { SampleKey } from '../../x509/samples.ts';
import type { SimDevice } from './sim-device.ts';
import type { Credential, World } from './world.ts';

/** Somebody with a copy of a device's key, and of its certificate. */
export interface Thief {
  readonly victim: SimDevice;
  readonly manner: 'quiet' | 'renews';
  /** All that he ever had. */
  readonly hoard: Credential[];
  /** For what he would like to have. */
  key: SampleKey;
  /** When the house acted against him: from then on nothing of his may get in. */
  actedAt: number | undefined;
}

export function steal(victim: SimDevice, manner: Thief['manner']): Thief {
  if (!victim.current) throw new Error(`there is nothing to steal from ${victim.name}`);
  victim.stolen = true;
  return { victim, manner, hoard: [victim.current], key: newKey(), actedAt: undefined };
}

/**
 * Tries all that he has, and to have it renewed if that is his manner.
 *
 * @returns how often he got in although the house had acted
 */
export async function tryDoors(thief: Thief, world: World): Promise<number> {
  let got = 0;
  for (const credential of thief.hoard) {
    const reason = world.connect(credential, thief.victim.name, 0);
    if (reason === 'ok' && thief.actedAt !== undefined) got += 1;
  }
  const newest = thief.hoard.at(-1);
  // One renewal is enough for him; once the house has acted he tries for another.
  const tries = thief.manner === 'renews' && thief.hoard.length === 1;
  if (newest && (tries || thief.actedAt !== undefined)) {
    const answer = await world.renew(newest, thief.key);
    if (typeof answer !== 'string') {
      if (thief.actedAt !== undefined) got += 1;
      thief.hoard.push(answer);
      thief.key = newKey();
    }
  }
  return got;
}
