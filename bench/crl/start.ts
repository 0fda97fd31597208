import { setTimeout as sleep } from 'node:timers/promises';
import { startHouse } from '../house.ts';
import { median } from '../statistics.ts';
import { round, WORKERS, withHouse } from './house.ts';

const REVOKED = 200_000;
const STARTS = 5;

/** Starts of a house with many revoked certificates. */
export interface StartResult {
  readonly revoked: number;
  /** Until every listener accepts. */
  readonly startMs: number;
  /** From then until the listener for brokers knows what was taken back; until then it denies. */
  readonly gateReadyMs: number;
}

export async function benchStart(say: (text: string) => void): Promise<StartResult> {
  return withHouse([REVOKED + 1000, REVOKED, 64, 10_000], 64, async (house) => {
    await house.stop();
    const starts: number[] = [];
    const gates: number[] = [];
    for (let at = 0; at < STARTS; at += 1) {
      const again = await startHouse(house.home, WORKERS);
      const accepted = performance.now();
      while (!(await fetch(`${again.brokerAuth}/readyz`)).ok) await sleep(5);
      gates.push(performance.now() - accepted);
      starts.push(again.startMs);
      await again.stop();
    }
    say(`a start takes ${Math.round(median(starts))} ms, its gate ${Math.round(median(gates))} ms more`);
    return { revoked: REVOKED, startMs: round(median(starts)), gateReadyMs: round(median(gates)) };
  });
}
