import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';

const LINE_FEED = 0x0a;

/**
 * Cuts a stream into lines, without their line feeds. What follows the last line feed is no line.
 *
 * @throws BirthmarkError `line-too-long`; what the source throws
 */
export async function* cutLines(
  source: AsyncIterable<Uint8Array>,
  maxOctets: number,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const octets of source) {
    const piece = rest.length === 0 ? asBuffer(octets) : Buffer.concat([rest, octets]);
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end !== -1; end = piece.indexOf(LINE_FEED, start)) {
      if (end - start > maxOctets) throw tooLong(maxOctets);
      yield piece.subarray(start, end);
      start = end + 1;
    }
    rest = piece.subarray(start);
    if (rest.length > maxOctets) throw tooLong(maxOctets);
  }
}

function tooLong(maxOctets: number): BirthmarkError {
  return new BirthmarkError('line-too-long', `a line has more than ${maxOctets} octets`);
}
