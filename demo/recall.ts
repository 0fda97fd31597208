import { setTimeout as sleep } from 'node:timers/promises';
import type { Device } from './device.ts';
import type { DemoHouse } from './house.ts';
import { duration, type Stage } from './stage.ts';
import { until } from './until.ts';

const NAME = 'recall';
const SWITCHED_OFF = 2;
const DEADLINE_SECONDS = 40;
const LOOK_MS = 300;
const TALK_EVERY_MS = 250;
const RENEW_MS = 10_000;

interface Status {
  readonly state: string;
  readonly wave: number;
  readonly members: Readonly<Record<string, number>>;
  readonly blastRadius: { readonly devices: number; readonly canRecover: number };
  readonly prediction?: { readonly waves: number; readonly seconds: number };
}

/** A whole batch is to have new credentials: in waves, with a deadline, and nobody is to lose its place at the broker. */
export async function recall(
  house: DemoHouse,
  all: readonly Device[],
  batch: string,
  stage: Stage,
): Promise<void> {
  const devices = all.filter((device) => device.batch === batch);
  const others = all.filter((device) => device.batch !== batch);
  stage.act(`${batch} is found compromised: ${devices.length} devices need new credentials`);
  const asleep = devices.slice(-SWITCHED_OFF);
  const awake = devices.slice(0, -SWITCHED_OFF);
  for (const device of asleep) device.switchOff();
  const lostBefore = sum(all, ({ lost }) => lost);
  const oldSerials = new Map(devices.map((device) => [device, device.credential?.serial]));

  const planned = await status(
    house,
    'plan',
    NAME,
    ...['--preset', 'batch-recall', '--batch', batch],
    ...['--first-wave', '8', '--wave-size', '50', '--gate', '90', '--deadline', `${DEADLINE_SECONDS}s`],
  );
  const { blastRadius, prediction } = planned;
  stage.say(
    `the plan: ${blastRadius.devices} devices, ${blastRadius.canRecover} of which could come back by their IDevID, in ${prediction?.waves} waves`,
  );
  const begun = performance.now();
  const chatter = talk(awake);
  await status(house, 'start', NAME);
  let told = '';
  let now = planned;
  const followed = () => (now.members.replaced ?? 0) >= awake.length;
  while (!followed() && performance.now() - begun < DEADLINE_SECONDS * 1000) {
    await sleep(LOOK_MS);
    now = await status(house, 'status', NAME);
    const line = `wave ${now.wave}: ${now.members.replaced ?? 0} of ${blastRadius.devices} carried over`;
    if (line !== told) stage.say(line);
    told = line;
  }
  const taken = await chatter.stop();
  stage.expect(
    followed() && awake.every((device) => device.credential?.serial !== oldSerials.get(device)),
    `${awake.length} devices have new keys and certificates after ${duration(performance.now() - begun)}, each confirmed by its use`,
  );
  const missing = () =>
    sum(awake, (device) => (taken.get(device) ?? []).filter((text) => !device.received.has(text)).length);
  await until(() => missing() === 0, 5000);
  const messages = sum(awake, (device) => taken.get(device)?.length ?? 0);
  stage.expect(
    missing() === 0 && sum(all, ({ lost }) => lost) === lostBefore,
    `not one lost its place: of ${messages} messages that they were sent meanwhile ${missing()} were missed, and the ${others.length} others noticed nothing`,
  );
  await stragglers(house, asleep, stage);
}

/** Who was off the whole time is shut out at the deadline; once a person let it back it renews, since it was called to. */
async function stragglers(house: DemoHouse, asleep: readonly Device[], stage: Stage): Promise<void> {
  stage.say(`${asleep.length} were switched off; the deadline is ${DEADLINE_SECONDS} s after the start`);
  let now = await status(house, 'status', NAME);
  const end = performance.now() + 2 * DEADLINE_SECONDS * 1000;
  while (now.state === 'running' && performance.now() < end) {
    await sleep(LOOK_MS);
    now = await status(house, 'status', NAME);
  }
  stage.expect(
    (now.members.quarantined ?? 0) === asleep.length,
    `the campaign is ${now.state}: ${now.members.replaced} carried over, ${now.members.quarantined ?? 0} quarantined at the deadline`,
  );
  for (const { name } of asleep) await house.command('device', 'release', name);
  const before = sum(asleep, ({ renewed }) => renewed);
  const begun = performance.now();
  await Promise.all(asleep.map((device) => device.join()));
  await until(() => sum(asleep, ({ renewed }) => renewed) === before + asleep.length, RENEW_MS);
  stage.expect(
    asleep.every((device) => device.connected) &&
      sum(asleep, ({ renewed }) => renewed) === before + asleep.length,
    `switched on and released by an operator they join, hear that they were called, and have new keys after ${duration(performance.now() - begun)}`,
  );
}

interface Chatter {
  /** What the broker took, by the device that is to get it. */
  stop(): Promise<ReadonlyMap<Device, readonly string[]>>;
}

/** Every device sends something to its own topic again and again, at QoS 1: what the broker took must arrive. */
function talk(devices: readonly Device[]): Chatter {
  const taken = new Map<Device, string[]>(devices.map((device) => [device, []]));
  let stopped = false;
  const run = async (device: Device) => {
    for (let count = 0; !stopped; count += 1) {
      const text = `${device.name}/${count}`;
      if (await device.tell(text)) taken.get(device)?.push(text);
      await sleep(TALK_EVERY_MS);
    }
  };
  const running = Promise.all(devices.map(run));
  return {
    async stop() {
      stopped = true;
      await running;
      return taken;
    },
  };
}

async function status(house: DemoHouse, ...words: readonly string[]): Promise<Status> {
  return JSON.parse(await house.command('campaign', ...words, '--json'));
}

function sum(devices: readonly Device[], of: (device: Device) => number): number {
  return devices.reduce((total, device) => total + of(device), 0);
}
