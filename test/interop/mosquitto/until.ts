import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for something to hold. */
export async function until(holds: () => boolean, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`this did not come to hold: ${holds}`);
    await sleep(10);
  }
}
