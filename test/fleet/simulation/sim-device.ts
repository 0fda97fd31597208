import { DAY_MS, newKey } from '../../house.ts';
import type { SampleKey } from '../../x509/samples.ts';
import type { Chance } from './chance.ts';
import type { Answer, Credential, World } from './world.ts';

/** How often what goes wrong on the way to a new certificate. */
const CRASHES = 0.02;
const LOST_ANSWERS = 0.05;
/** Of both: the key did not survive it. */
const KEYS_LOST = 0.3;
const BACK_MS = 3 * DAY_MS;

/** A device with a firmware that obeys the rules: it keeps what works until something else does. */
export interface SimDevice {
  readonly name: string;
  readonly idevid: Credential;
  readonly gate: number;
  /** How wrong its clock is. */
  readonly skewMs: number;
  /** What it connects with. */
  current: Credential | undefined;
  /** Newer, and not tried yet. */
  candidate: Credential | undefined;
  /** Written down before it was sent anywhere. */
  pendingKey: SampleKey | undefined;
  offUntil: number;
  /** Since when it is on. */
  onSince: number;
  /** The time that the server told last: a clock that is behind it is wrong. */
  toldTime: number;
  /** Somebody else has, or had, a key of its own. */
  stolen: boolean;
  renewals: number;
  recoveries: number;
}

/** What was wrong when a device looked. */
export interface Finding {
  readonly name: string;
  readonly at: number;
  readonly what: string;
}

/**
 * A device looks after itself: it tries what is new, connects, comes back by what it was born with where nothing else works, and
 * renews when it is time.
 *
 * @returns what a healthy device must never see
 */
export async function wake(device: SimDevice, world: World, chance: Chance): Promise<Finding | undefined> {
  let finding: Finding | undefined;
  if (device.candidate) {
    if (connects(device, device.candidate, world)) {
      device.current = device.candidate;
      device.renewals += 1;
    }
    device.candidate = undefined;
  }
  const { current } = device;
  const reason = current ? world.connect(current, device.name, device.gate) : 'none';
  if (reason !== 'ok') {
    const excused = device.stolen || reason === 'none' || (reason === 'expired' && wasAway(device, world));
    if (!excused) finding = { name: device.name, at: world.now(), what: `has nothing that works: ${reason}` };
    await comeBack(device, world, chance, reason === 'expired');
  } else {
    if (current && isDue(device, current, world))
      await ask(device, chance, (key) => world.renew(current, key));
  }
  if (world.up) device.toldTime = world.now();
  return finding;
}

function connects(device: SimDevice, credential: Credential, world: World): boolean {
  return world.connect(credential, device.name, device.gate) === 'ok';
}

/** By the old certificate within the grace, or by the IDevID and a new key. */
async function comeBack(device: SimDevice, world: World, chance: Chance, mayRenew: boolean): Promise<void> {
  const { current } = device;
  if (current && mayRenew) {
    const answer = await ask(device, chance, (key) => world.renew(current, key));
    if (typeof answer !== 'string' || answer === 'unreachable' || answer === 'lost') return;
  }
  const answer = await ask(device, chance, (key) => world.enroll(device.idevid, key));
  if (typeof answer !== 'string') device.recoveries += 1;
}

/** Who comes back in the last hours of its certificate may lose an answer too many; it renews within the grace then. */
function wasAway({ onSince }: SimDevice, world: World): boolean {
  return world.now() - onSince < BACK_MS;
}

/** By its own clock, unless it knows better. */
function isDue(device: SimDevice, current: Credential, world: World): boolean {
  const now = Math.max(world.now() + device.skewMs, device.toldTime);
  return now >= world.renewsFrom(current);
}

/** Asks for a certificate; on the way it may crash, and the answer may be lost. The same key asks again. */
async function ask(
  device: SimDevice,
  chance: Chance,
  send: (key: SampleKey) => Promise<Answer>,
): Promise<Answer | 'lost'> {
  const key = device.pendingKey ?? newKey();
  device.pendingKey = key;
  const loseKey = () => {
    if (chance.happens(KEYS_LOST)) device.pendingKey = undefined;
    return 'lost' as const;
  };
  if (chance.happens(CRASHES)) return loseKey();
  const answer = await send(key);
  if (answer === 'unreachable') return answer;
  if (chance.happens(LOST_ANSWERS)) return loseKey();
  device.pendingKey = undefined;
  if (typeof answer !== 'string') device.candidate = answer;
  return answer;
}
