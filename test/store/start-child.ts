import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Child {
  /** The next fact that it says; undefined when it ended. */
  nextFact(): Promise<string | undefined>;
  /** All that it says until it ends. */
  facts(): Promise<string[]>;
  /** SIGKILL: no handler runs, nothing is tidied up. */
  kill(): Promise<void>;
}

/** Starts another process, see `child.ts`. */
export function startChild(act: string, path: string, name = '', env: NodeJS.ProcessEnv = {}): Child {
  const script = fileURLToPath(new URL('./child.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script, act, path, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (!child.stdout) throw new Error('no stdout');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const nextFact = async (): Promise<string | undefined> => {
    const line = await lines.next();
    return line.done ? undefined : line.value;
  };
  return {
    nextFact,
    async facts() {
      const all: string[] = [];
      for (let fact = await nextFact(); fact !== undefined; fact = await nextFact()) all.push(fact);
      return all;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
