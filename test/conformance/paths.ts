// Path validation: the runner of DIR/check gives the cases of DIR/vectors to `birthmark verify --jsonl`.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../interop/run-program.ts';

/** The suites, each with the file that it lies in. */
export const PATH_SUITES = ['limbo.jsonl', 'pkits.jsonl', 'boringssl-chains.jsonl'] as const;

const KNOWN = fileURLToPath(new URL('known-paths.txt', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface SuiteResult {
  readonly suite: string;
  readonly passed: number;
  /** Accepted with a reason. */
  readonly known: number;
  /** What the runner says of each case that is neither, and of each reason that is not needed. */
  readonly complaints: readonly string[];
}

/** Runs the suites that are there; the departures of `known-paths.txt` are looked for in those. */
export async function judgePaths(folder: string): Promise<SuiteResult[]> {
  const runner = path.join(folder, 'check', 'limbo_run.mjs');
  const results: SuiteResult[] = [];
  for (const suite of PATH_SUITES) {
    const file = path.join(folder, 'vectors', suite);
    if (!existsSync(file)) continue;
    const batch = `'${process.execPath}' '${PROGRAM}' verify --jsonl`;
    const words = [runner, '--suite', file, '--batch', batch, '--known', KNOWN];
    const { status, out, err } = await runProgram(process.execPath, words);
    const total = /^TOTAL \d+ pass=(\d+) .* known=(\d+) skipped=(\d+) /m.exec(out);
    const complaints = out.split('\n').filter((line) => /^(?:FALSE|CRASH|HANG|KNOWN-BUT)/.test(line));
    if (!total || (status !== 0 && complaints.length === 0))
      complaints.push(err || out || 'the runner said nothing');
    if (total && Number(total[3]) > 0) complaints.push(`${total[3]} cases were skipped`);
    results.push({ suite, passed: Number(total?.[1] ?? 0), known: Number(total?.[2] ?? 0), complaints });
  }
  return results;
}
