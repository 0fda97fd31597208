import { spawn } from 'node:child_process';

/** Paths of what a command may want to look at. None of the values is a secret. */
export interface CredentialPaths {
  readonly key?: string;
  readonly certificate: string;
  readonly trust: string;
}

export interface CommandOptions {
  /** What the command inherits. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
}

export type CommandOutcome =
  | { readonly kind: 'done' }
  /** `status` is its exit code, where it had one. */
  | { readonly kind: 'failed'; readonly status?: number; readonly detail: string }
  | { readonly kind: 'timed-out'; readonly detail: string };

/**
 * Runs a user's command in a shell, with `BIRTHMARK_KEY` (absent for a key in a token), `BIRTHMARK_CERTIFICATE` and
 * `BIRTHMARK_TRUST`: paths. What it writes goes to our standard error.
 */
export function runCommand(
  command: string,
  { key, certificate, trust }: CredentialPaths,
  { environment, timeoutMs }: CommandOptions,
): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], {
      stdio: ['ignore', 2, 2],
      detached: true,
      env: {
        ...environment,
        BIRTHMARK_CERTIFICATE: certificate,
        BIRTHMARK_TRUST: trust,
        ...(key !== undefined && { BIRTHMARK_KEY: key }),
      },
    });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      // The shell and what it started are a group of their own.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ kind: 'failed', detail: `cannot be started: ${error.message}` });
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (timedOut) resolve({ kind: 'timed-out', detail: `was stopped after ${timeoutMs / 1000} s` });
      else if (status === 0) resolve({ kind: 'done' });
      else
        resolve({
          kind: 'failed',
          ...(status !== null && { status }),
          detail: `ended with ${status ?? signal}`,
        });
    });
  });
}
