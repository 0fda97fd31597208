import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * Takes exactly so many octets from a socket that nobody else reads, and leaves the rest in it.
 *
 * @returns fewer where the other side ended before
 */
export async function takeOctets(socket: Socket, size: number, signal: AbortSignal): Promise<Buffer> {
  let taken = Buffer.alloc(0);
  for (;;) {
    // All that is there, not so many as are wanted: who waits while something is there is woken at once, for ever.
    const octets: Buffer | null = socket.read();
    if (octets) taken = Buffer.concat([taken, octets]);
    if (taken.length >= size) {
      if (taken.length > size) socket.unshift(taken.subarray(size));
      return taken.subarray(0, size);
    }
    if (socket.readableEnded || socket.destroyed) return taken;
    if (octets) continue;
    const done = new AbortController();
    const either = { signal: AbortSignal.any([signal, done.signal]) };
    try {
      await Promise.race([once(socket, 'readable', either), once(socket, 'close', either)]);
    } finally {
      done.abort();
    }
  }
}
