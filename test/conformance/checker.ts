// Other people's checkers, run where they lie and as they are.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { runProgram } from '../interop/run-program.ts';

export interface Finding {
  readonly level: 'ERROR' | 'WARN' | 'INFO';
  readonly code: string;
  readonly message: string;
}

/** Runs a checker on a file; gives what it has to say against it. */
export type Checker = (words: readonly string[]) => Promise<readonly Finding[]>;

/** Debian's: the checkers need its packages python3-cryptography and python3-asn1crypto. */
const PYTHON = '/usr/bin/python3';

/** @throws Error where the checker, or what it needs, is not there */
export async function openChecker(folder: string, name: string): Promise<Checker> {
  const script = path.join(folder, 'check', name);
  if (!existsSync(script)) throw new Error(`${script} is not there`);
  const ready = await runProgram(PYTHON, ['-c', 'import cryptography, asn1crypto']);
  if (ready.status !== 0)
    throw new Error(`${name} needs python3-cryptography and python3-asn1crypto (${PYTHON})`);
  return async (words) => {
    const { status, out, err } = await runProgram(PYTHON, [script, ...words, '--json']);
    try {
      return parseFindings(out).filter(({ level }) => level !== 'INFO');
    } catch {
      return [
        { level: 'ERROR', code: 'checker', message: `ended with ${status} and no verdict: ${err || out}` },
      ];
    }
  };
}

function parseFindings(text: string): Finding[] {
  const { findings } = JSON.parse(text) as {
    readonly findings: readonly {
      readonly level: Finding['level'];
      readonly code: string;
      readonly msg: string;
    }[];
  };
  return findings.map(({ level, code, msg }) => ({ level, code, message: msg }));
}
