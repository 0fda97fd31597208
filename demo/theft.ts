import { once } from 'node:events';
import { codeOf, type Device, openSession } from './device.ts';
import type { DemoHouse } from './house.ts';
import { duration, type Stage } from './stage.ts';
import { until } from './until.ts';

/** Somebody copied a device's key. The operator says so once. */
export async function theft(house: DemoHouse, device: Device, stage: Stage): Promise<void> {
  stage.act(`The key of ${device.name} is stolen`);
  const stolen = device.credential;
  if (!stolen) throw new Error(`${device.name} has no credential`);
  device.switchOff();
  const thief = await openSession(device.name, stolen, house.place);
  stage.say('while the device is off, the thief is in: to the broker it is the device');
  const begun = performance.now();
  const thrownOut = once(thief, 'close').then(() => performance.now() - begun);
  await house.command('revoke', '--serial', stolen.serial, '--reason', 'keyCompromise');
  const said = performance.now() - begun;
  stage.expect(
    Number.isFinite(await thrownOut),
    `thrown out in the middle of its session, ${duration(await thrownOut)} after the operator pressed enter (the command itself took ${duration(said)})`,
  );
  const again = await openSession(device.name, stolen, house.place).then(() => 'let in', codeOf);
  stage.expect(again === 5, 'comes again with the stolen key: not authorized');
  const back = performance.now();
  await device.join();
  await until(() => device.connected);
  stage.expect(
    device.credential?.serial !== stolen.serial && device.recovered === 1,
    `the device itself is back after ${duration(performance.now() - back)}, by its IDevID, with a new key`,
  );
}
