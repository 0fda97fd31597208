import { isUtf8 } from 'node:buffer';
import type { Profile } from '../../ca/profile.ts';
import { breathe } from '../../core/breathe.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { gather } from '../../core/gather.ts';
import { mapInOrder } from '../../core/map-in-order.ts';
import type { Admission } from '../admission.ts';
import type { Enroller, EnrollmentRequest } from '../enroller.ts';
import { type FactoryLine, readFactoryLine, writeErrorLine, writeResultLine } from './codec.ts';
import { type SplitLine, splitLines } from './split-lines.ts';

export interface BatchOptions {
  readonly profile: Profile;
  readonly admission: Admission;
  readonly enroll: Enroller;
  /** Judges a line before its CSR costs anything; returns the request as it may go on. */
  readonly admit: (request: EnrollmentRequest) => EnrollmentRequest;
}

const MAX_LINE_OCTETS = 64 * 1024;
/** Lines that share a transaction: enough to share the cost of a sync to disk, few enough for the others to wait little. */
const GROUP_SIZE = 128;
/** Groups under way at once: while one waits for the disk, the next one is examined. */
const GROUPS_UNDER_WAY = 2;

/**
 * Answers a stream of lines with a stream of lines: one for one and in order, in bounded memory however many there are.
 * A bad line is answered in its place and stops nothing.
 */
export function runBatch(source: AsyncIterable<Buffer>, options: BatchOptions): AsyncGenerator<Buffer> {
  const groups = gather(splitLines(source, MAX_LINE_OCTETS), GROUP_SIZE);
  let lines = 0;
  return mapInOrder(groups, GROUPS_UNDER_WAY, (group) => {
    const before = lines;
    lines += group.length;
    return answerGroup(group, before, options);
  });
}

async function answerGroup(
  group: readonly SplitLine[],
  before: number,
  options: BatchOptions,
): Promise<Buffer> {
  // Groups stand in one queue, in their order; a device that comes alone, by another door, does not.
  await breathe();
  const lines = group.map((line, at) => readLine(line, before + at + 1, options));
  const requests = lines.flatMap((line) => ('request' in line ? [line.request] : []));
  const outcomes = await options.enroll(requests, options.admission);
  let next = 0;
  const answer: string[] = [];
  for (const line of lines) {
    if ('error' in line) {
      answer.push(writeErrorLine(line.name, line.error));
      continue;
    }
    const outcome = outcomes[next];
    next += 1;
    if (outcome === undefined || outcome instanceof BirthmarkError) {
      answer.push(
        writeErrorLine(
          line.name,
          outcome ?? new BirthmarkError('internal', 'the line was left without an outcome'),
        ),
      );
    } else answer.push(writeResultLine(outcome));
  }
  return joinLines(answer);
}

/** Into octets at once: a text of this size would go to a part of the heap that is tidied rarely. */
function joinLines(lines: readonly string[]): Buffer {
  const octets = Buffer.allocUnsafe(lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0));
  let at = 0;
  for (const line of lines) at += octets.write(line, at);
  return octets;
}

function readLine(line: SplitLine, number: number, { profile, admit }: BatchOptions): FactoryLine {
  if (line instanceof BirthmarkError) return { name: { line: number }, error: line };
  // Decoding would put U+FFFD in the place of what is wrong (RFC 8259 §8.1).
  if (!isUtf8(line))
    return { name: { line: number }, error: new BirthmarkError('bad-json', 'the line is not UTF-8') };
  const read = readFactoryLine(line.toString('utf8'), number, profile);
  if ('error' in read) return read;
  try {
    return { name: read.name, request: admit(read.request) };
  } catch (error) {
    if (error instanceof BirthmarkError) return { name: read.name, error };
    throw error;
  }
}
