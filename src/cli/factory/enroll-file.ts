import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writeSync,
} from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { BirthmarkError, type ErrorCode } from '../../core/errors.ts';
import { mapInOrder } from '../../core/map-in-order.ts';
import { type SplitLine, splitLines } from '../../enroll/factory/split-lines.ts';
import {
  type BatchClient,
  type BatchClientOptions,
  createBatchClient,
  mayBeRetried,
} from './batch-client.ts';
import { checkOutput } from './check-output.ts';
import type { Progress } from './progress.ts';

export interface EnrollFileOptions extends BatchClientOptions {
  readonly input: string;
  readonly output: string;
  readonly onProgress: (progress: Progress) => void;
  /** Told before each pause after which something is asked for again. */
  readonly onRetry: (reason: string, waitMs: number) => void;
}

export interface EnrollSummary {
  readonly granted: number;
  readonly refused: number;
  /** Lines that the output had before this run. */
  readonly before: number;
  readonly seconds: number;
}

interface NumberedLine {
  readonly number: number;
  readonly line: Buffer;
}

const CHUNK = 500;
const MAX_LINE_OCTETS = 64 * 1024;
const MAX_TRIES = 12;
/** An address that never answered is more probably wrong than down. */
const MAX_TRIES_UNHEARD = 4;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** What is wrong with the token and not with the line. */
const TOKEN_ENDED: ReadonlySet<string> = new Set<ErrorCode>(['unauthenticated', 'token-exhausted']);

/**
 * Enrolls the devices of a file. What the output has already is not asked for again; every line of it is whole, in the
 * input's order, and final: what may succeed later is asked for again with growing pauses before anything is written.
 *
 * @throws BirthmarkError where the server refuses the batch as a whole, stays away too long (start again later), or
 *   takes the token no more (start again with another one)
 */
export async function enrollFile(options: EnrollFileOptions): Promise<EnrollSummary> {
  const total = await countLines(options.input);
  const { lines: before, octets } = await checkOutput(readLines(options.input), options);
  const client = createBatchClient(options);
  const line: Line = { client, onRetry: options.onRetry, heard: false };
  const file = openSync(options.output, existsSync(options.output) ? 'r+' : 'w', 0o644);
  const startedAt = performance.now();
  let position = octets;
  let granted = 0;
  let refused = 0;
  try {
    ftruncateSync(file, octets);
    for await (const { answers, ended } of mapInOrder(
      chunks(options.input, before),
      options.connections,
      (chunk) => enrollChunk(line, chunk),
    )) {
      const text = Buffer.from(answers.map((answer) => `${answer}\n`).join(''));
      position += writeSync(file, text, 0, text.length, position);
      const failed = answers.filter((answer) => errorOf(answer) !== undefined).length;
      refused += failed;
      granted += answers.length - failed;
      options.onProgress({
        done: before + granted + refused,
        total,
        refused,
        before,
        elapsedMs: performance.now() - startedAt,
      });
      if (ended) throw ended;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
    client.close();
  }
  return { granted, refused, before, seconds: (performance.now() - startedAt) / 1000 };
}

/** What the chunks of a run share. */
interface Line {
  readonly client: BatchClient;
  readonly onRetry: (reason: string, waitMs: number) => void;
  /** Whether the server has ever answered. */
  heard: boolean;
}

/** The answers of a chunk; where the token came to its end in the middle, those of the lines before. */
interface Answered {
  readonly answers: readonly string[];
  readonly ended?: BirthmarkError;
}

/** Gets a final answer for each line. */
async function enrollChunk(line: Line, chunk: readonly NumberedLine[]): Promise<Answered> {
  const final = new Map<number, string>();
  let reason = '';
  let tries = 0;
  for (; tries < (line.heard ? MAX_TRIES : MAX_TRIES_UNHEARD); tries += 1) {
    if (tries > 0) {
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries) * (0.5 + Math.random() / 2);
      line.onRetry(reason, waitMs);
      await sleep(waitMs);
    }
    const open = chunk.filter(({ number }) => !final.has(number));
    try {
      const { answers, broken } = await line.client.send(open.map(({ line: octets }) => octets));
      line.heard ||= answers.length > 0;
      reason = broken?.message ?? reason;
      for (const [at, answer] of answers.entries()) {
        const { code, detail } = errorOf(answer) ?? {};
        const number = open[at]?.number;
        if (code !== undefined && TOKEN_ENDED.has(code)) return endOfToken(chunk, final, detail ?? code);
        if (code !== undefined && mayBeRetried(code)) reason = code;
        else if (number !== undefined)
          final.set(number, code === undefined ? answer : withFileLine(answer, number));
      }
    } catch (error) {
      if (!(error instanceof BirthmarkError) || !mayBeRetried(error.code)) throw error;
      line.heard = true;
      reason = error.message;
    }
    if (final.size === chunk.length) return { answers: chunk.map(({ number }) => final.get(number) ?? '') };
  }
  throw new BirthmarkError(
    'unavailable',
    `no answer after ${tries} tries (${reason}); what is in the output is kept, start again when the server is there`,
  );
}

/** With another token these lines may get their certificates, so that they are not answered yet. */
function endOfToken(
  chunk: readonly NumberedLine[],
  final: ReadonlyMap<number, string>,
  detail: string,
): Answered {
  const answers: string[] = [];
  for (const { number } of chunk) {
    const answer = final.get(number);
    if (answer === undefined) break;
    answers.push(answer);
  }
  return {
    answers,
    ended: new BirthmarkError(
      'unauthenticated',
      `${detail}; what is in the output is kept, start again with another token for the rest`,
    ),
  };
}

function errorOf(answer: string): { readonly code: string; readonly detail: string } | undefined {
  if (!answer.includes('"error":{')) return undefined;
  const value: unknown = JSON.parse(answer);
  const error = typeof value === 'object' && value !== null && 'error' in value ? value.error : undefined;
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return { code: String(error.code), detail: 'detail' in error ? String(error.detail) : '' };
}

/** The server counts lines of one request; people look for a line in their file. */
function withFileLine(answer: string, number: number): string {
  return answer.replace(/^\{"line":\d+/, `{"line":${number}`);
}

async function* chunks(path: string, skip: number): AsyncGenerator<readonly NumberedLine[]> {
  let number = 0;
  let chunk: NumberedLine[] = [];
  for await (const line of readLines(path)) {
    number += 1;
    if (number <= skip) continue;
    // A line that is too long for the server is sent as something that it refuses in place.
    chunk.push({ number, line: line instanceof BirthmarkError ? Buffer.from('too long') : line });
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

async function* readLines(path: string): AsyncGenerator<SplitLine> {
  const source: AsyncIterable<Buffer> = createReadStream(path);
  try {
    for await (const group of splitLines(source, MAX_LINE_OCTETS)) yield* group;
  } catch (cause) {
    if (cause instanceof BirthmarkError) throw cause;
    throw new BirthmarkError('bad-request', `${path} cannot be read`, { cause });
  }
}

async function countLines(path: string): Promise<number> {
  let lines = 0;
  for await (const _ of readLines(path)) lines += 1;
  return lines;
}
