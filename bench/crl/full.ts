import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchHouse } from '../house.ts';
import { probe, type Waits } from '../probe.ts';
import { type Cost, costOf, ocspRequests, round, serialsOf, withHouse } from './house.ts';

const run = promisify(execFile);
const LIMIT = fileURLToPath(new URL('limit.ts', import.meta.url));
const ENTRIES = 1_000_000;

/** A full list of a million entries, published by a server that serves. */
export interface FullResult extends Cost {
  readonly entries: number;
  readonly octets: number;
  readonly seconds: number;
  /** Reading the rows, and hashing and signing as many octets, in a process of its own that does nothing else. */
  readonly limitSeconds: number;
  readonly ratio: number;
  /** Above what the process had before. */
  readonly memoryMiB: number;
  readonly idleMiB: number;
  /** Of other doors meanwhile: health, OCSP, a shard. */
  readonly doors: Waits;
}

export async function benchFull(say: (text: string) => void): Promise<FullResult> {
  return withHouse([ENTRIES + 1000, ENTRIES, 64, 10_000], 64, async (house) => {
    say(`${ENTRIES} entries are in a ledger`);
    // Its gate reads the statuses of a million certificates first.
    await sleep(30_000);
    const idle = house.memoryMiB();
    let most = idle;
    const sampling = setInterval(() => {
      most = Math.max(most, house.memoryMiB());
    }, 50);
    const [good = '', ...others] = serialsOf(house, ENTRIES, 300);
    const doors = [
      { url: `${house.public}/healthz` },
      { url: `${house.public}/ocsp`, bodies: ocspRequests(house, others) },
      { url: `${house.public}/crl/ldevid/3.crl` },
    ];
    const tag = await tagOf(house);
    await house.command('revoke', '--serial', good, '--reason', 'superseded');
    // From here on the full list is due.
    const cost = costOf(house);
    const asking = probe(doors);
    while ((await tagOf(house)) === tag) await sleep(100);
    const milliseconds = await publishedIn(house);
    const waits = await asking.stop();
    const spent = cost();
    clearInterval(sampling);
    const seconds = milliseconds / 1000;
    const octets = Number((await headOf(house)).get('content-length'));
    const { stdout } = await run(process.execPath, [LIMIT, join(house.home, 'ledger.db'), String(octets)]);
    const { readSeconds, signSeconds }: { readSeconds: number; signSeconds: number } = JSON.parse(stdout);
    const limitSeconds = readSeconds + signSeconds;
    say(`full list in ${seconds} s, ${Math.round(most - idle)} MiB`);
    return {
      entries: ENTRIES,
      octets,
      seconds,
      limitSeconds: round(limitSeconds),
      ratio: round(limitSeconds / seconds),
      ...spent,
      memoryMiB: Math.round(most - idle),
      idleMiB: Math.round(idle),
      doors: waits,
    };
  });
}

async function headOf(house: BenchHouse): Promise<Headers> {
  const headers = { 'accept-encoding': 'identity' };
  return (await fetch(`${house.public}/crl/idevid.crl`, { method: 'HEAD', headers })).headers;
}

async function tagOf(house: BenchHouse): Promise<string | null> {
  return (await headOf(house)).get('etag');
}

/** Milliseconds that upkeep took for the lists that it published last, which it logs when all is done. */
async function publishedIn(house: BenchHouse): Promise<number> {
  for (;;) {
    const last = [...house.log().matchAll(/"milliseconds":(\d+)/g)].at(-1)?.[1];
    if (last !== undefined) return Number(last);
    await sleep(50);
  }
}
