// What the fuzz tests have in common: how long, from which seed, and where findings stay.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { BirthmarkError } from '../src/core/errors.ts';
import { mutate, seededRandom } from './x509/mutate.ts';

const FINDINGS = path.join(import.meta.dirname, 'findings');
const LONG = process.env.BIRTHMARK_FUZZ_SECONDS;

/** How long the targets of a file run together: a nightly run sets BIRTHMARK_FUZZ_SECONDS. */
export function fuzzSeconds(usual: number): number {
  return Number(LONG ?? usual);
}

/** The usual run tries the same inputs each time; a longer one tries others, unless it is to repeat a finding. */
export const FUZZ_SEED = Number(process.env.BIRTHMARK_FUZZ_SEED ?? (LONG === undefined ? 1 : process.pid));

export interface FuzzTarget {
  readonly name: string;
  /** What is mutated. */
  readonly corpus: readonly (string | Uint8Array)[];
  /** Takes an input or refuses it with a BirthmarkError; anything else that it throws is a finding. */
  readonly read: (octets: Buffer) => unknown;
}

/** Far above what any input of these sizes may take, far below what a hang does. */
const LONGEST_MS = 2000;

/** Tries what was found before, then mutations of the corpus for so many seconds. Fails with what repeats a finding, and keeps it. */
export async function fuzz(target: FuzzTarget, seconds: number): Promise<void> {
  for (const input of readFindings(target.name)) await assertHarmless(target, input, 'found before');
  const corpus = target.corpus.map((input) => Buffer.from(input));
  const random = seededRandom(FUZZ_SEED);
  const end = performance.now() + seconds * 1000;
  let tries = 0;
  for (; performance.now() < end; tries += 1) {
    const input = mutate(corpus[tries % corpus.length] ?? Buffer.alloc(0), corpus, random);
    await assertHarmless(target, input, `try ${tries}`);
  }
  if (LONG !== undefined) console.log(`${target.name}: ${tries} inputs, BIRTHMARK_FUZZ_SEED=${FUZZ_SEED}`);
  expect(tries).toBeGreaterThan(0);
}

async function assertHarmless({ name, read }: FuzzTarget, input: Buffer, which: string): Promise<void> {
  const before = performance.now();
  const fault = await faultOf(read, input);
  const took = performance.now() - before;
  if (fault === undefined && took <= LONGEST_MS) return;
  failWith(name, input, `${fault ?? `took ${Math.round(took)} ms`}, ${which}`);
}

async function faultOf(read: FuzzTarget['read'], input: Buffer): Promise<string | undefined> {
  try {
    await read(input);
    return undefined;
  } catch (error) {
    if (!(error instanceof BirthmarkError)) return `threw ${String(error)}`;
    return error.code === 'internal' ? `took the blame: ${error.message}` : undefined;
  }
}

/** Fails the test, and keeps the input for the next runs. */
export function failWith(target: string, input: Buffer, what: string): never {
  const folder = folderOf(target);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16)), input);
  expect.fail(`${what}; ${target}, BIRTHMARK_FUZZ_SEED=${FUZZ_SEED}, input ${input.toString('hex')}`);
}

/** What was found for a target. */
export function readFindings(target: string): readonly Buffer[] {
  const folder = folderOf(target);
  return existsSync(folder) ? readdirSync(folder).map((name) => readFileSync(path.join(folder, name))) : [];
}

function folderOf(target: string): string {
  return path.join(FINDINGS, target.replace(/[^A-Za-z0-9]+/g, '-'));
}
