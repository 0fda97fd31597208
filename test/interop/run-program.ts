import { spawn, spawnSync } from 'node:child_process';

/** How a program ended, and what it said. */
export interface Done {
  /** `null` where a signal ended it. */
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Uint8Array;
}

/** Whether a program is there to be run. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ['--help']).error === undefined;
}

/** Runs a program to its end, however it ends. */
export function runProgram(
  program: string,
  words: readonly string[],
  { cwd, env, input }: RunOptions = {},
): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd, env: env ?? process.env });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (status) =>
      resolve({ status, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }),
    );
  });
}

/** Runs a program that must end well; gives its standard output. */
export async function mustRun(
  program: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { status, out, err } = await runProgram(program, words, options);
  if (status !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${status}:\n${out}\n${err}`);
  return out;
}
