// A folder on a disk of its own, small enough to be filled. It is mounted where only its own processes see it.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { runProgram } from '../run-program.ts';
import type { Serving } from './serving.ts';

const CAPPED_LEDGER = new URL('capped-ledger.ts', import.meta.url).href;

export interface SmallDisk {
  /** What a command runs under to see it. */
  readonly under: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The same place as processes see it that do not run under it. */
  readonly seenFromOutside: string;
  /** Fills it but for so many octets. `serving` is who shall notice. */
  fill(free: number, serving?: Serving): void;
  /** Takes away what filled it. */
  empty(serving?: Serving): void;
  remove(): void;
}

/** Mounts a disk over a folder, as root or as somebody who may make namespaces of his own. */
export async function mountSmallDisk(folder: string, octets: number): Promise<SmallDisk> {
  mkdirSync(folder, { recursive: true });
  const asRoot = process.getuid?.() === 0;
  const mount = `mount -t tmpfs -o size=${octets},mode=755 birthmark "$0" && echo mounted && exec sleep infinity`;
  const holder = spawn('unshare', [asRoot ? '-m' : '-rm', 'sh', '-c', mount, folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    let complaint = '';
    holder.stderr.on('data', (part: Buffer) => {
      complaint += part.toString();
    });
    holder.stdout.once('data', () => resolve());
    holder.once('error', reject);
    holder.once('exit', (code) => reject(new Error(`no disk could be mounted (${code}): ${complaint}`)));
  });
  const pid = String(holder.pid);
  const seenFromOutside = `/proc/${pid}/root${folder}`;
  const filler = `${seenFromOutside}/filler`;
  return {
    under: ['nsenter', '-t', pid, ...(asRoot ? ['-m'] : ['-U', '-m', '--preserve-credentials']), '--'],
    env: {},
    seenFromOutside,
    fill: (free) => {
      rmSync(filler, { force: true });
      const { bavail, bsize } = statfsSync(seenFromOutside);
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - free)));
    },
    empty: () => rmSync(filler, { force: true }),
    remove: () => {
      holder.removeAllListeners('exit');
      holder.kill('SIGKILL');
    },
  };
}

/** In place of a disk where none can be mounted: the ledger of the process that serves stops growing. */
export function pretendSmallDisk(folder: string): SmallDisk {
  mkdirSync(folder, { recursive: true });
  let full = false;
  const turn = (serving: Serving | undefined) => {
    if (!serving) return;
    full = !full;
    process.kill(serving.pid, 'SIGUSR2');
  };
  return {
    under: [],
    env: { NODE_OPTIONS: `--import=${CAPPED_LEDGER}` },
    seenFromOutside: folder,
    fill: (_free, serving) => {
      if (!full) turn(serving);
    },
    empty: (serving) => {
      if (full) turn(serving);
    },
    remove: () => undefined,
  };
}

/** Whether disks can be mounted here. */
export async function canMount(): Promise<boolean> {
  const flags = process.getuid?.() === 0 ? '-m' : '-rm';
  try {
    return (await runProgram('unshare', [flags, 'mount', '-t', 'tmpfs', 'birthmark', '/mnt'])).status === 0;
  } catch {
    return false;
  }
}
