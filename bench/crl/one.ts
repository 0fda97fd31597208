import { request } from 'node:http';
import { join } from 'node:path';
import type { BenchHouse } from '../house.ts';
import { median, percentile } from '../statistics.ts';
import { type Cost, costOf, round, serialsOf, withHouse } from './house.ts';

const SHARD_ENTRIES = 1000;
const FLEET = { shards: 64, good: 200 };
const REVOCATIONS = 60;

/** One revocation, from the request to the answer: recorded, audited, in a shard of 1,000 entries and in the delta. */
export interface OneResult {
  readonly shardEntries: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the server for one. */
  readonly cpuMs: number;
  /** In a fleet of twice the devices, shards and revoked certificates. */
  readonly twiceP50Ms: number;
  readonly twiceCpuMs: number;
  readonly ratio: number;
  readonly cpuRatio: number;
  readonly loadAverage: number;
}

export async function benchOne(say: (text: string) => void): Promise<OneResult> {
  const { shards, good } = FLEET;
  const revoked = (times: number) => shards * times * SHARD_ENTRIES;
  const fleet = (times: number) => [revoked(times) + good, revoked(times), shards * times, 10_000];
  return withHouse(fleet(1), shards, (small) =>
    withHouse(fleet(2), 2 * shards, async (large) => {
      const times: { small: number; large: number }[] = [];
      const [ofSmall, ofLarge] = [revokerOf(small, revoked(1)), revokerOf(large, revoked(2))];
      let costs: readonly (() => Cost)[] = [];
      for (let at = 0; at < REVOCATIONS + 10; at += 1) {
        // The first ones warm up.
        if (at === 10) costs = [costOf(small), costOf(large)];
        const pair = { small: await ofSmall(), large: await ofLarge() };
        if (at >= 10) times.push(pair);
      }
      const [cost, twiceCost] = costs.map((tell) => tell());
      const [cpuMs = 0, twiceCpuMs = 0] = [cost, twiceCost].map(
        (of) => (1000 * (of?.cpuSeconds ?? 0)) / REVOCATIONS,
      );
      const ofN = times.map((pair) => pair.small);
      const of2N = times.map((pair) => pair.large);
      say(`one revocation: ${median(ofN).toFixed(1)} ms, ${median(of2N).toFixed(1)} ms in twice the fleet`);
      return {
        shardEntries: SHARD_ENTRIES,
        p50Ms: round(median(ofN)),
        p99Ms: round(percentile(ofN, 99)),
        cpuMs: round(cpuMs),
        twiceP50Ms: round(median(of2N)),
        twiceCpuMs: round(twiceCpuMs),
        ratio: round(median(of2N) / median(ofN)),
        cpuRatio: round(twiceCpuMs / cpuMs),
        loadAverage: cost?.loadAverage ?? 0,
      };
    }),
  );
}

/** Revokes the next good certificate through the API; gives the milliseconds until the answer. */
function revokerOf(house: BenchHouse, revoked: number): () => Promise<number> {
  const serials = serialsOf(house, revoked, FLEET.good);
  return async () => {
    const serial = serials.shift() ?? '';
    const startedAt = performance.now();
    const { published }: { published: boolean } = JSON.parse(
      await callSocket(house, '/api/v1/revocations', { by: { serial }, reason: 'superseded' }),
    );
    if (!published) throw new Error('a revocation was not published');
    return performance.now() - startedAt;
  };
}

/** Asks the server as commands do. */
function callSocket(house: BenchHouse, path: string, body: object): Promise<string> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const socketPath = join(house.home, 'birthmark.sock');
    const sent = request({ socketPath, path, method: 'POST', headers }, (answer) => {
      let got = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece: string) => {
        got += piece;
      });
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve(got);
        else reject(new Error(`${path} answered ${answer.statusCode}: ${got}`));
      });
    });
    sent.once('error', reject);
    sent.end(text);
  });
}
