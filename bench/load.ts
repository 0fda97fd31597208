import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { BenchHouse } from './house.ts';

const LOAD = fileURLToPath(new URL('batch-load.ts', import.meta.url));

export interface LoadResult {
  readonly answers: number;
  readonly refused: number;
  readonly seconds: number;
  /** Processor time of the load generator, which shares the cores with the server. */
  readonly cpuSeconds: number;
}

/** Sends each file through the batch door over a connection of its own, from a process that is pinned to one core. */
export async function sendBatches(
  house: BenchHouse,
  token: string,
  files: readonly string[],
): Promise<LoadResult> {
  const load = spawn('taskset', ['-c', '1', process.execPath, LOAD, house.tls, token, house.ca, ...files], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const piece of load.stdout) text += String(piece);
  const result: LoadResult = JSON.parse(text);
  if (result.refused > 0) throw new Error(`${result.refused} lines were refused`);
  return result;
}
