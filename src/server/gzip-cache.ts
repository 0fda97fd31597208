import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** Something to be compressed once. */
export interface Compressible {
  /** What it is, to the octet. */
  readonly key: string;
  /** Octets. */
  readonly size: number;
  read(): AsyncIterable<Uint8Array>;
}

export interface GzipCache {
  /** Compressed, where that pays and is there by now: what is large is sent as it is until it has been compressed. */
  get(source: Compressible): Promise<Buffer | undefined>;
}

/** What fits into one packet anyway. */
const SMALLEST = 1400;
/** Compressed in some tens of milliseconds, on another thread, so that who asks first may wait for it. */
const WAITED_FOR = 1024 * 1024;
const LARGEST = 64 * 1024 * 1024;
/** Of the original: more is not worth the receiver's work. */
const PAYS = 0.9;

/**
 * Keeps what it compressed, least recently asked first out.
 *
 * @param most octets kept at most
 */
export function createGzipCache(most = 32 * 1024 * 1024): GzipCache {
  /** Undefined: it does not pay. */
  const kept = new Map<string, Buffer | undefined>();
  const underWay = new Map<string, Promise<Buffer | undefined>>();
  let octets = 0;

  async function compress({ key, size, read }: Compressible): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    await pipeline(read, createGzip(), async (compressed: AsyncIterable<Buffer>) => {
      for await (const piece of compressed) pieces.push(piece);
    });
    const whole = Buffer.concat(pieces);
    const result = whole.length <= size * PAYS && whole.length <= most ? whole : undefined;
    kept.set(key, result);
    octets += result?.length ?? 0;
    for (const [oldest, buffer] of kept) {
      if (octets <= most && kept.size <= 1000) break;
      kept.delete(oldest);
      octets -= buffer?.length ?? 0;
    }
    return result;
  }

  return {
    async get(source) {
      const { key, size } = source;
      if (size < SMALLEST || size > LARGEST) return undefined;
      if (kept.has(key)) {
        const found = kept.get(key);
        kept.delete(key);
        kept.set(key, found);
        return found;
      }
      const isLarge = size > WAITED_FOR;
      // One large one at a time.
      if (isLarge && underWay.size > 0) return undefined;
      let work = underWay.get(key);
      if (!work) {
        // Who cannot have it compressed has it as it is.
        work = compress(source).catch(() => undefined);
        underWay.set(key, work);
        void work.finally(() => underWay.delete(key));
      }
      return isLarge ? undefined : work;
    },
  };
}
