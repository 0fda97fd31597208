// Our own commands, as processes.
import { fileURLToPath } from 'node:url';
import type { Home } from '../../../src/cli/home.ts';
import { type Done, runProgram } from '../run-program.ts';

export const COMMAND = fileURLToPath(new URL('../../../bin/birthmark.mjs', import.meta.url));

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Runs the command under another one: `faketime`, `unshare`, … */
  readonly under?: readonly string[];
}

/** Runs a command of ours on a home, to its end. */
export function birthmark(
  home: Home,
  words: readonly string[],
  { env, under = [] }: CommandOptions = {},
): Promise<Done> {
  const [program = '', ...rest] = [...under, process.execPath, COMMAND, ...words, '--home', home.path];
  return runProgram(program, rest, { env: { ...cleanEnvironment(), ...env } });
}

/** Runs a command that must end well. Gives its standard output. */
export async function must(home: Home, words: readonly string[], options?: CommandOptions): Promise<string> {
  const { status, out, err } = await birthmark(home, words, options);
  if (status !== 0) throw new Error(`birthmark ${words.join(' ')} ended with ${status}:\n${out}\n${err}`);
  return out;
}

/** The environment of this process without what would lead a command of ours astray. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const { BIRTHMARK_HOME, BIRTHMARK_PASSPHRASE, NODE_OPTIONS, ...rest } = process.env;
  return rest;
}
