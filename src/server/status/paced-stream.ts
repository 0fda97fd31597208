import { Readable } from 'node:stream';

/** Octets that wait for a reader beside what the socket holds; a piece above that waits alone. */
const WAITING_OCTETS = 64 * 1024;

/**
 * A stream of these pieces, each made when the one before is on its way.
 *
 * @param slowMs a reader that does not take a piece for so long is too slow
 * @param onSlow told of it; it must end the connection
 */
export function pacedStream(pieces: AsyncIterable<string>, slowMs: number, onSlow: () => void): Readable {
  return Readable.from(paced(pieces, slowMs, onSlow), { objectMode: false, highWaterMark: WAITING_OCTETS });
}

async function* paced(
  pieces: AsyncIterable<string>,
  slowMs: number,
  onSlow: () => void,
): AsyncGenerator<string> {
  for await (const piece of pieces) {
    if (piece === '') continue;
    const timer = setTimeout(onSlow, slowMs);
    try {
      yield piece;
    } finally {
      clearTimeout(timer);
    }
  }
}
