import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * Takes exactly so many octets from a socket that nobody else reads, and leaves the rest in it.
 *
 * @returns fewer where the other side ended before
 */
export async function takeOctets(socket: Socket, size: number, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    const octets: Buffer | null = socket.read(size);
    if (octets) return octets;
    if (socket.readableEnded || socket.destroyed) return Buffer.alloc(0);
    const done = new AbortController();
    const either = { signal: AbortSignal.any([signal, done.signal]) };
    try {
      await Promise.race([once(socket, 'readable', either), once(socket, 'close', either)]);
    } finally {
      done.abort();
    }
  }
}
