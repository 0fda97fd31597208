import type { Device } from './device.ts';
import { duration, type Stage } from './stage.ts';

const AT_ONCE = 16;

/** Each device gets an LDevID by its IDevID, and opens its session at the broker. */
export async function joining(devices: readonly Device[], stage: Stage): Promise<void> {
  stage.act('They enroll by themselves and join the broker');
  const begun = performance.now();
  const waiting = [...devices];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let device = waiting.pop(); device; device = waiting.pop()) await device.join();
    }),
  );
  const live = devices.filter(({ connected }) => connected).length;
  stage.expect(
    live === devices.length,
    `${live} sessions are live after ${duration(performance.now() - begun)}: an LDevID by the IDevID, then MQTT over mutual TLS`,
  );
}
