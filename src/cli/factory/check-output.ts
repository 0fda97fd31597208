import { createReadStream, existsSync } from 'node:fs';
import { BirthmarkError } from '../../core/errors.ts';
import type { SplitLine } from '../../enroll/factory/split-lines.ts';

const LINE_FEED = 0x0a;

/**
 * How much of the output of an earlier run stands: whole lines only, each an answer about the device that the input
 * names there. What follows, half a line that a kill left, is to be cut off.
 *
 * @param wanted the input's lines
 * @throws BirthmarkError `bad-request` where the output is something else, or belongs to another input
 */
export async function checkOutput(
  wanted: AsyncGenerator<SplitLine>,
  { input, output }: { readonly input: string; readonly output: string },
): Promise<{ lines: number; octets: number }> {
  if (!existsSync(output)) return { lines: 0, octets: 0 };
  let lines = 0;
  let octets = 0;
  for await (const line of wholeLines(output)) {
    const answer = parseObject(line);
    if (answer === undefined || !('certificate' in answer || 'error' in answer)) {
      throw new BirthmarkError(
        'bad-request',
        `line ${lines + 1} of ${output} is no answer: this file is something else; give another --out`,
      );
    }
    const { value, done } = await wanted.next();
    const asked = done || value instanceof BirthmarkError ? undefined : serialNumberOf(parseObject(value));
    const answered = serialNumberOf(answer);
    if (done || (answered !== undefined && answered !== asked)) {
      throw new BirthmarkError(
        'bad-request',
        `line ${lines + 1} of ${output} is not about the device in that line of ${input}; give another --out`,
      );
    }
    lines += 1;
    octets += line.length + 1;
  }
  await wanted.return(undefined);
  return { lines, octets };
}

/** Lines that end with a line feed. */
async function* wholeLines(path: string): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  const source: AsyncIterable<Buffer> = createReadStream(path);
  for await (const piece of source) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let start = 0;
    for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED, start)) {
      yield rest.subarray(start, end);
      start = end + 1;
    }
    rest = rest.subarray(start);
  }
}

function serialNumberOf(value: object | undefined): string | undefined {
  return value !== undefined && 'serialNumber' in value ? String(value.serialNumber) : undefined;
}

function parseObject(line: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
