// Real processes that serve a home, and how they end.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Home } from '../../../src/cli/home.ts';
import { COMMAND, type CommandOptions, cleanEnvironment } from './command.ts';

export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Serving {
  readonly pid: number;
  readonly publicUrl: string;
  readonly tlsUrl: string;
  readonly ended: Promise<End>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<End>;
  /** What it wrote so far. */
  log(): string;
}

export interface ServeOptions extends CommandOptions {
  /** What follows `serve`; free ports are taken where it names none. */
  readonly words?: readonly string[];
  /** Another program than ours that takes the home and the ready file as its last arguments. */
  readonly program?: readonly string[];
  /** Leads a process group of its own, as a shell's foreground job does. */
  readonly group?: boolean;
}

/** Those that live: a test that fails leaves its own. */
const living = new Set<ChildProcess>();

/** Ends what tests that failed have left. */
export function endAll(): void {
  for (const child of living) child.kill('SIGKILL');
}

const READY_WITHIN_MS = 90_000;
const TRY_EVERY_MS = 10;

/** Starts `serve` and waits until every listener accepts. */
export async function serve(home: Home, options: ServeOptions = {}): Promise<Serving> {
  const { words = [], under = [], env, program, group = false } = options;
  const readyFile = `${home.path}.ready`;
  rmSync(readyFile, { force: true });
  const ports = words.includes('--tls-port') ? [] : ['--public-port', '0', '--tls-port', '0'];
  const ours = ['serve', '--home', home.path, '--ready-file', readyFile, ...ports, ...words];
  const [first = '', ...rest] = [
    ...under,
    process.execPath,
    ...(program ? [...program, home.path, readyFile] : [COMMAND, ...ours]),
  ];
  const child = spawn(first, rest, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: group,
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (part: string) => {
      log += part;
    });
  }
  living.add(child);
  const ended = untilEnd(child).finally(() => living.delete(child));
  const ready = await Promise.race([untilReady(readyFile), ended]);
  if (typeof ready !== 'string') throw new Error(`serve ended with ${JSON.stringify(ready)}:\n${log}`);
  const addresses: unknown = JSON.parse(ready);
  const address = (name: string) => String(new Map(Object.entries(Object(addresses))).get(name));
  return {
    pid: child.pid ?? 0,
    publicUrl: address('public'),
    tlsUrl: address('tls'),
    ended,
    end: (signal) => {
      child.kill(signal);
      return ended;
    },
    log: () => log,
  };
}

async function untilReady(file: string): Promise<string> {
  await until(() => existsSync(file), READY_WITHIN_MS);
  return readFileSync(file, 'utf8');
}

function untilEnd(child: ChildProcess): Promise<End> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Waits until something is so. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  withinMs = READY_WITHIN_MS,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not so within ${withinMs / 1000} s: ${isSo}`);
    await sleep(TRY_EVERY_MS);
  }
}

/** The processes that a process started and that live. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

export function isAlive(pid: number): boolean {
  try {
    // The third field of the line: a zombie is dead already.
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
