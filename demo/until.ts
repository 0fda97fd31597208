import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 10;

/**
 * Waits until something holds.
 *
 * @returns whether it did in time
 */
export async function until(holds: () => boolean, withinMs = 30_000): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > end) return false;
    await sleep(LOOK_MS);
  }
  return true;
}
