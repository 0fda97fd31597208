import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { makeLines } from './lines.ts';
import { sendBatches } from './load.ts';
import { median } from './statistics.ts';

const FILL = fileURLToPath(new URL('fill-ledger.ts', import.meta.url));
const SMALL = 1000;
const LARGE = 1_000_000;
const WORKERS = 2;
const CONNECTIONS = 4;
const LINES = 6000;
const PAIRS = 7;
/** See `issue.ts`. */
const WARM_UP_LINES = 24_000;

export interface ScaleResult {
  /** Rate with 1,000,000 devices in the ledger over the rate with 1,000; median of interleaved pairs. */
  readonly rateRatio: number;
  readonly ratesSmall: number;
  readonly ratesLarge: number;
  /** From the command to the ready file, with 1,000,000 devices. */
  readonly startMs: number;
  readonly memorySmallMiB: number;
  readonly memoryLargeMiB: number;
}

/** What a million devices in the ledger change. */
export async function benchScale(say: (text: string) => void): Promise<ScaleResult> {
  const homes = { small: makeHome(), large: makeHome() };
  const houses: BenchHouse[] = [];
  try {
    for (const [home, count] of [
      [homes.small, SMALL],
      [homes.large, LARGE],
    ] as const) {
      await command(home, 'init');
      const fill = spawn(process.execPath, [FILL, join(home, 'ledger.db'), String(count)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [code] = await once(fill, 'exit');
      if (code !== 0) throw new Error('the ledger could not be filled');
      say(`${count} devices are in a ledger`);
    }
    // The first start writes what is missing (CRLs, the TLS certificate); the second is what a restart costs.
    const first = await startHouse(homes.large, WORKERS);
    await first.stop();
    const small = await startHouse(homes.small, WORKERS);
    houses.push(small);
    const large = await startHouse(homes.large, WORKERS);
    houses.push(large);
    const tokens = new Map<BenchHouse, string>();
    for (const house of houses) {
      tokens.set(
        house,
        (await house.command('token', 'create', '--role', 'factory', '--name', 'bench')).split('\n').at(-1) ??
          '',
      );
    }
    const warmUp = await makeLines(homes.small, PAIRS * LINES, WARM_UP_LINES, CONNECTIONS);
    for (const house of houses) await sendBatches(house, tokens.get(house) ?? '', warmUp);
    const rates: { small: number; large: number }[] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const files = await makeLines(homes.small, pair * LINES, LINES, CONNECTIONS);
      const rate = async (house: BenchHouse) => {
        const { answers, seconds } = await sendBatches(house, tokens.get(house) ?? '', files);
        return answers / seconds;
      };
      // Who goes first changes, so that a trend in the noise hits both.
      const inOrder = pair % 2 === 0 ? [small, large] : [large, small];
      const [one = 0, two = 0] = [await rate(inOrder[0] ?? small), await rate(inOrder[1] ?? large)];
      rates.push(pair % 2 === 0 ? { small: one, large: two } : { small: two, large: one });
      say(`pair ${pair + 1}: ${JSON.stringify(rates.at(-1))}`);
    }
    return {
      rateRatio: Math.round(median(rates.map(({ small: a, large: b }) => b / a)) * 1000) / 1000,
      ratesSmall: Math.round(median(rates.map(({ small: a }) => a))),
      ratesLarge: Math.round(median(rates.map(({ large: b }) => b))),
      startMs: Math.round(large.startMs),
      memorySmallMiB: Math.round(small.memoryMiB()),
      memoryLargeMiB: Math.round(large.memoryMiB()),
    };
  } finally {
    for (const house of houses) await house.stop();
    removeHome(homes.small);
    removeHome(homes.large);
  }
}
