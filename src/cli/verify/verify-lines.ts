import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { judgeCase } from './judge-case.ts';

/**
 * Judges a case a line, in order, each answered before the next is read. A line that is no case is answered too, and
 * ends nothing: the next may be one.
 */
export async function verifyLines(input: Readable, out: (text: string) => void, clock: Clock): Promise<void> {
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() !== '') out(JSON.stringify(answer(line, clock)));
  }
}

function answer(line: string, clock: Clock): object {
  let id: unknown = null;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'id' in value) id = value.id;
    return judgeCase(value, clock());
  } catch (error) {
    if (error instanceof SyntaxError) return { id, result: 'SKIPPED', detail: 'the line is not JSON' };
    if (error instanceof BirthmarkError) return { id, result: 'SKIPPED', detail: error.message };
    throw error;
  }
}
