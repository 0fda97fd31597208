// `npm run demo`: the tour. `-- --exit` ends it with 0 when all went as told; otherwise it stays up to look at.
import { births } from './births.ts';
import { openDemoHouse } from './house.ts';
import { joining } from './joining.ts';
import { recall } from './recall.ts';
import { openStage } from './stage.ts';
import { theft } from './theft.ts';

const DEVICES = 200;
const words = process.argv.slice(2);
if (words.some((word) => word !== '--exit')) {
  console.error('usage: npm run demo [-- --exit]');
  process.exit(2);
}
const stage = openStage((line) => console.log(line));
const house = await openDemoHouse();
try {
  const devices = await births(house, stage, DEVICES);
  await joining(devices, stage);
  const [victim] = devices;
  if (victim) await theft(house, victim, stage);
  await recall(house, devices, 'batch-C', stage);
  for (const device of devices) device.switchOff();
} finally {
  await house.close();
}
process.exitCode = stage.broken.length === 0 ? 0 : 1;
