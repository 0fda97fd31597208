// `npm run demo`: the tour, with a house, a broker and devices of its own. Then it stays up to look at; with `-- --exit` it ends,
// with 0 when all went as told.
import { births } from './births.ts';
import { openDemoHouse } from './house.ts';
import { joining } from './joining.ts';
import { ledgerSays } from './ledger-says.ts';
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
let end = () => {
  // In the middle of the tour: whatever it waits for, the house is closed.
  void house.close().finally(() => process.exit(130));
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end());
try {
  const devices = await births(house, stage, DEVICES);
  await joining(devices, stage);
  const [victim] = devices;
  if (victim) await theft(house, victim, stage);
  await recall(house, devices, 'batch-C', stage);
  await ledgerSays(house, stage);
  if (stage.broken.length > 0) {
    console.log(`\nNot as told:\n${stage.broken.map((text) => `  ${text}`).join('\n')}`);
    process.exitCode = 1;
  }
  if (!words.includes('--exit')) {
    console.log(`\nIt stays up until Ctrl-C:
  npx birthmark --help                                    with BIRTHMARK_HOME=${house.home}
  npx birthmark device show ${victim?.name} --home ${house.home}
  npx birthmark campaign status recall --home ${house.home}
  ${house.tls}/api/v1/docs    ${house.public}/crl/ldevid.crl    ${house.mqtt ?? ''}`);
    await new Promise<void>((resolve) => {
      end = resolve;
    });
  }
  for (const device of devices) device.switchOff();
} finally {
  await house.close();
}
