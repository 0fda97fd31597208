import { asBuffer } from '../core/bytes.ts';
import type { PemLabel } from './pem.ts';

const COLUMNS = 64;
const LINE_FEED = 0x0a;

/** Length of `pemOf` for so many octets. */
export function pemSize(label: PemLabel, octets: number): number {
  const characters = 4 * Math.ceil(octets / 3);
  return begin(label).length + characters + Math.ceil(characters / COLUMNS) + end(label).length;
}

/**
 * As `toPem`, piece by piece.
 *
 * @param pieces each but the last of a multiple of 48 octets, which is a line
 */
export async function* pemOf(label: PemLabel, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield begin(label);
  for await (const piece of pieces) yield lines(piece);
  yield end(label);
}

function begin(label: PemLabel): Buffer {
  return Buffer.from(`-----BEGIN ${label}-----\n`);
}

function end(label: PemLabel): Buffer {
  return Buffer.from(`-----END ${label}-----\n`);
}

function lines(octets: Uint8Array): Buffer {
  const base64 = asBuffer(octets).toString('base64');
  const out = Buffer.allocUnsafe(base64.length + Math.ceil(base64.length / COLUMNS));
  let at = 0;
  for (let from = 0; from < base64.length; from += COLUMNS) {
    at += out.write(base64.slice(from, from + COLUMNS), at, 'latin1');
    out[at] = LINE_FEED;
    at += 1;
  }
  return out;
}
