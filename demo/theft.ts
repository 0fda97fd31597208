import { codeOf, type Device, openSession } from './device.ts';
import type { DemoHouse } from './house.ts';
import { duration, type Stage } from './stage.ts';
import { until } from './until.ts';

const TRIES = 20;
const NOT_AUTHORIZED = 5;

/** Somebody copied a device's key. The operator says so once. */
export async function theft(house: DemoHouse, device: Device, stage: Stage): Promise<void> {
  stage.act(`The key of ${device.name} is stolen`);
  const stolen = device.credential;
  if (!stolen) throw new Error(`${device.name} has no credential`);
  device.switchOff();
  const thief = await openSession(device.name, stolen, house.place);
  stage.say('while the device is off, the thief is in: to the broker it is the device');
  const begun = performance.now();
  const thrownOut = new Promise<number>((resolve) => {
    thief.once('close', () => resolve(performance.now() - begun));
  });
  await house.command('device', 'recover', device.name, '--credential', 'ldevid');
  const took = await thrownOut;
  const moments = await enforcement(house, device.name, stolen.serial);
  stage.expect(
    moments !== undefined,
    `thrown out in the middle of its session, ${duration(took)} after the operator pressed enter: ${duration(moments ?? Number.NaN)} from the ledger to the end of the session, the rest is the start of the command`,
  );
  const again = await openSession(device.name, stolen, house.place).then(() => 'let in', codeOf);
  stage.expect(again === NOT_AUTHORIZED, 'comes again with the stolen key: not authorized');
  const back = performance.now();
  await device.join();
  await until(() => device.connected);
  stage.expect(
    device.credential?.serial !== stolen.serial && device.recovered === 1,
    `the device itself is back after ${duration(performance.now() - back)}, by its IDevID, with a new key`,
  );
}

/** How long it took from the ledger to the broker, by the ledger's own moments; undefined where no broker said so. */
async function enforcement(house: DemoHouse, name: string, serial: string): Promise<number | undefined> {
  let moments: Moments | undefined;
  for (let tries = 0; tries < TRIES && moments?.enforcedAt === undefined; tries += 1) {
    const shown: Shown = JSON.parse(await house.command('device', 'show', name, '--json'));
    moments = shown.certificates.find((one) => one.serial === serial)?.revocation;
  }
  return moments?.enforcedAt === undefined
    ? undefined
    : Date.parse(moments.enforcedAt) - Date.parse(moments.recordedAt);
}

interface Moments {
  readonly recordedAt: string;
  readonly enforcedAt?: string;
}

interface Shown {
  readonly certificates: readonly { readonly serial: string; readonly revocation?: Moments }[];
}
