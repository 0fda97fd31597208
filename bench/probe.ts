import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from './statistics.ts';

/** A request that is sent again and again. */
export interface Probe {
  readonly url: string;
  /** Sent by POST, the next one each time. */
  readonly bodies?: readonly Buffer[];
}

export interface Waits {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  readonly samples: number;
}

const EVERY_MS = 5;

/**
 * Asks in turn, each time on a connection that is kept, some milliseconds after the answer before, until it is stopped. Who
 * asks one after the other counts a stall once, however long it is, so each wait counts once for every time that somebody who
 * asks at a steady rate would have waited in it.
 */
export function probe(probes: readonly Probe[]): { stop(): Promise<Waits> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const waits: number[] = [];
  let running = true;
  const asking = (async () => {
    for (let at = 0; running; at += 1) {
      const one = probes[at % probes.length];
      if (!one) return;
      const body = one.bodies?.[Math.floor(at / probes.length) % one.bodies.length];
      const wait = await ask(agent, one.url, body);
      for (let rest = wait; rest > 0; rest -= EVERY_MS) waits.push(rest);
      await sleep(EVERY_MS);
    }
  })();
  return {
    stop: async () => {
      running = false;
      await asking;
      agent.destroy();
      const round = (value: number) => Math.round(value * 10) / 10;
      return {
        p50Ms: round(percentile(waits, 50)),
        p99Ms: round(percentile(waits, 99)),
        slowestMs: round(Math.max(...waits)),
        samples: waits.length,
      };
    },
  };
}

function ask(agent: Agent, url: string, body: Buffer | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const headers = body && { 'content-type': 'application/ocsp-request', 'content-length': body.length };
    const sent = request(
      url,
      { agent, method: body ? 'POST' : 'GET', ...(headers && { headers }) },
      (answer) => {
        answer.resume();
        answer.once('end', () => {
          if (answer.statusCode === 200) resolve(performance.now() - startedAt);
          else reject(new Error(`${url} answered ${answer.statusCode}`));
        });
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}
