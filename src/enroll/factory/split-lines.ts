import { BirthmarkError } from '../../core/errors.ts';

/** A line's octets, or the refusal of one that was too long to keep. */
export type SplitLine = Buffer | BirthmarkError;

const LINE_FEED = 0x0a;

/**
 * Cuts a stream into lines, a group for each piece that arrives. Memory is bounded by one piece and one line: a line
 * beyond `maxOctets` is dropped while it passes and stands as an error in its place. A last line needs no
 * line feed; the end after a line feed is no line.
 */
export async function* splitLines(
  source: AsyncIterable<Buffer>,
  maxOctets: number,
): AsyncGenerator<readonly SplitLine[]> {
  let rest: Buffer[] = [];
  let restLength = 0;
  const finishLine = (tail: Buffer): SplitLine => {
    const length = restLength + tail.length;
    const line = rest.length === 0 ? tail : Buffer.concat([...rest, tail]);
    rest = [];
    restLength = 0;
    return length > maxOctets ? tooLong(maxOctets) : line;
  };
  for await (const piece of source) {
    const group: SplitLine[] = [];
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end !== -1; end = piece.indexOf(LINE_FEED, start)) {
      group.push(finishLine(piece.subarray(start, end)));
      start = end + 1;
    }
    if (group.length > 0) yield group;
    if (start < piece.length) {
      // A line that is too long already is counted on, and no longer kept.
      if (restLength <= maxOctets) rest.push(piece.subarray(start));
      restLength += piece.length - start;
    }
  }
  if (restLength > 0) yield [finishLine(Buffer.alloc(0))];
}

function tooLong(maxOctets: number): BirthmarkError {
  return new BirthmarkError('line-too-long', `the line has more than ${maxOctets} octets`);
}
