import { setTimeout as sleep } from 'node:timers/promises';
import { probe, type Waits } from '../probe.ts';
import { type Cost, costOf, ocspRequests, round, serialsOf, withHouse } from './house.ts';

const ACT = 100_000;

/** One act, from the command to its end, all in their lists. */
export interface ActResult extends Cost {
  readonly revoked: number;
  readonly seconds: number;
  readonly ocsp: Waits;
}

export async function benchAct(say: (text: string) => void): Promise<ActResult> {
  return withHouse([ACT + 1000, 0, 64, ACT], 64, async (house) => {
    const asking = probe([
      { url: `${house.public}/ocsp`, bodies: ocspRequests(house, serialsOf(house, ACT, 500)) },
    ]);
    await sleep(500);
    const cost = costOf(house);
    const startedAt = performance.now();
    const text = await house.command('revoke', '--batch', 'batch-0', '--reason', 'superseded', '--json');
    const seconds = (performance.now() - startedAt) / 1000;
    const spent = cost();
    const ocsp = await asking.stop();
    const { changed, published }: { changed: number; published: boolean } = JSON.parse(text);
    if (changed !== ACT || !published) throw new Error(`the act ended with ${text}`);
    say(`${changed} revoked in ${seconds.toFixed(1)} s, OCSP p99 ${ocsp.p99Ms} ms`);
    return { revoked: changed, seconds: round(seconds), ...spent, ocsp };
  });
}
