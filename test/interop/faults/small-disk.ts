// A folder on a disk of its own, small enough to be filled. It is mounted where only its own processes see it.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { runProgram } from '../run-program.ts';

export interface SmallDisk {
  /** What a command runs under to see it. */
  readonly under: readonly string[];
  /** The same place as processes see it that do not run under it. */
  readonly seenFromOutside: string;
  /** Fills it but for so many octets. */
  fill(free: number): void;
  /** Takes away what filled it. */
  empty(): void;
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

/** Whether disks can be mounted here. */
export async function canMount(): Promise<boolean> {
  const flags = process.getuid?.() === 0 ? '-m' : '-rm';
  try {
    return (await runProgram('unshare', [flags, 'mount', '-t', 'tmpfs', 'birthmark', '/mnt'])).status === 0;
  } catch {
    return false;
  }
}
