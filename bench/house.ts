import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../bin/birthmark.mjs', import.meta.url));
const START_MS = 600_000;

/** A server of the real command on a home of its own. */
export interface BenchHouse {
  readonly home: string;
  readonly pid: number;
  readonly tls: string;
  readonly public: string;
  /** With `--broker`. */
  readonly mqtt?: string;
  /** Where other people's brokers ask, as `init` configures it. */
  readonly brokerAuth?: string;
  readonly ca: string;
  /** From the command to the ready file. */
  readonly startMs: number;
  /** Runs another command of ours on the home. */
  command(...args: readonly string[]): Promise<string>;
  /** What it has logged, JSON lines. */
  log(): string;
  /** Sum of the processes' proportional set sizes, in MiB. */
  memoryMiB(): number;
  stop(): Promise<void>;
}

export function makeHome(): string {
  return mkdtempSync(join(tmpdir(), 'birthmark-bench-'));
}

export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true });
}

export async function command(home: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [MAIN, ...args, '--home', home]);
  return stdout.trimEnd();
}

/**
 * Starts `serve` with so many workers and waits until it accepts.
 *
 * @param words what else follows it
 */
export async function startHouse(
  home: string,
  workers: number,
  words: readonly string[] = [],
): Promise<BenchHouse> {
  const ready = join(home, 'ready.json');
  rmSync(ready, { force: true });
  const logFile = join(home, 'serve.log');
  const log = openSync(logFile, 'w');
  const startedAt = performance.now();
  const server = spawn(
    process.execPath,
    [
      MAIN,
      'serve',
      '--home',
      home,
      '--public-port',
      '0',
      '--tls-port',
      '0',
      '--workers',
      String(workers),
      '--ready-file',
      ready,
      ...words,
    ],
    { stdio: ['ignore', 'ignore', log] },
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  while (!existsSync(ready)) {
    if (server.exitCode !== null || performance.now() - startedAt > START_MS)
      throw new Error('serve did not start');
    await sleep(5);
  }
  const startMs = performance.now() - startedAt;
  const addresses: { tls: string; public: string; mqtt?: string; brokerAuth?: string } = JSON.parse(
    readFileSync(ready, 'utf8'),
  );
  return {
    home,
    pid: server.pid ?? 0,
    ...addresses,
    ca: join(home, 'pki', 'root.pem'),
    startMs,
    command: (...args) => command(home, ...args),
    log: () => readFileSync(logFile, 'utf8'),
    memoryMiB: () =>
      [server.pid ?? 0, ...childrenOf(server.pid ?? 0)].reduce((sum, pid) => sum + proportionalMiB(pid), 0),
    stop: async () => {
      server.kill('SIGTERM');
      await ended;
    },
  };
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function proportionalMiB(pid: number): number {
  const [, kilobytes = '0'] =
    /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
