import { breathe } from '../core/breathe.ts';
import type { CrlEntries } from './crl-entries.ts';
import { constructed, type Der, encode, encodeHeader, explicit } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { bitString, integer, time } from './der/values.ts';

/** What goes into a tbsCertList (RFC 5280 §5.1). */
export interface TbsCertListFields {
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  /** Name, DER: the authority's subject to the octet. */
  readonly issuer: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Taken from it; none leaves revokedCertificates out (RFC 5280 §5.1.2.6). */
  readonly entries: CrlEntries;
  readonly extensions: readonly Der[];
}

/** A list that waits for its signature, in the memory in which it will be whole. */
export interface UnsignedCrl {
  /** DER of a v2 tbsCertList. */
  readonly tbs: Buffer;
  /** The CertificateList. Call it once: `tbs` lies within it. */
  assemble(signature: Uint8Array): Buffer;
}

const VERSION_2 = encode(integer(1));
/** Header of a SEQUENCE of less than 4 GiB. */
const HEADER_ROOM = 6;
/** AlgorithmIdentifier and the largest signature that we make. */
const SIGNATURE_ROOM = 1024;
/** Octets copied between two breaths of the event loop. */
const SLICE = 4 * 1024 * 1024;

/** Puts a list together, in one piece of memory: a large one is there once, and not once more for its signature. */
export async function encodeCrl(fields: TbsCertListFields): Promise<UnsignedCrl> {
  const { signatureAlgorithm, entries } = fields;
  const front = [
    VERSION_2,
    signatureAlgorithm,
    fields.issuer,
    time(fields.thisUpdate),
    time(fields.nextUpdate),
  ];
  const back = encode(explicit(0, constructed(TAG.sequence, fields.extensions)));
  const { size } = entries;
  const list = size === 0 ? Buffer.of() : encodeHeader(TAG.sequence, size);
  const head = front.map(encode);
  const length = sum(head) + list.length + size + back.length;
  const whole = Buffer.allocUnsafeSlow(HEADER_ROOM + HEADER_ROOM + length + SIGNATURE_ROOM);
  let at = HEADER_ROOM;
  const put = (octets: Uint8Array) => {
    whole.set(octets, at);
    at += octets.length;
  };
  for (const part of [encodeHeader(TAG.sequence, length), ...head, list]) put(part);
  let unbreathed = 0;
  for (const octets of entries.take()) {
    put(octets);
    unbreathed += octets.length;
    if (unbreathed < SLICE) continue;
    unbreathed = 0;
    await breathe();
  }
  put(back);
  return {
    tbs: whole.subarray(HEADER_ROOM, at),
    assemble(signature) {
      const end = [signatureAlgorithm, encode(bitString(signature))];
      const outer = encodeHeader(TAG.sequence, at - HEADER_ROOM + sum(end));
      const start = HEADER_ROOM - outer.length;
      whole.set(outer, start);
      for (const part of end) put(part);
      return whole.subarray(start, at);
    },
  };
}

function sum(parts: readonly Uint8Array[]): number {
  return parts.reduce((total, { length }) => total + length, 0);
}
