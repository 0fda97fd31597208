// Homes to break: made once for each test file, then copied.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { lastLine } from '../house.ts';
import { type CommandOptions, must } from './command.ts';
import { endAll, serve } from './serving.ts';

/** A folder for the homes of a test file. */
export interface Folder {
  readonly path: string;
  /** A name in it that nothing has yet. */
  fresh(name?: string): string;
  /** Removes it, and ends who still serves a home in it. */
  remove(): void;
}

export function makeFolder(): Folder {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-faults-'));
  let made = 0;
  return {
    path: folder,
    fresh: (name = 'home') => {
      made += 1;
      return path.join(folder, `${name}-${made}`);
    },
    remove: () => {
      endAll();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A home that was served once: TLS certificate and lists are there. */
export async function makeServedHome(folder: Folder): Promise<Home> {
  const home = homeAt(folder.fresh('template'));
  await must(home, ['init', '--public-url', 'http://pki.lab.example']);
  const serving = await serve(home);
  await serving.end('SIGTERM');
  return home;
}

export function copyHome(home: Home, folder: Folder): Home {
  const copy = folder.fresh();
  cpSync(home.path, copy, { recursive: true, filter: (source) => !source.endsWith('.sock') });
  return homeAt(copy);
}

/** A factory token named `line`. */
export async function makeToken(
  home: Home,
  options?: CommandOptions & { readonly count?: number },
): Promise<string> {
  const limits = options?.count === undefined ? [] : ['--count', String(options.count)];
  const words = ['token', 'create', '--role', 'factory', '--name', 'line', ...limits];
  return lastLine(await must(home, words, options));
}

export async function makeTicket(
  home: Home,
  serialNumber: string,
  options?: CommandOptions,
): Promise<string> {
  return lastLine(await must(home, ['ticket', 'create', '--serial-number', serialNumber], options));
}
