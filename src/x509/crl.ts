import { BirthmarkError } from '../core/errors.ts';
import { type CrlEntries, LIST_ROOM } from './crl-entries.ts';
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

/** Puts a list together around its entries, where they lie: a large one is in memory once. */
export function encodeCrl(fields: TbsCertListFields): UnsignedCrl {
  const { signatureAlgorithm, entries } = fields;
  const { memory, from, to } = entries.take();
  const size = to - from;
  const front = [
    VERSION_2,
    signatureAlgorithm,
    fields.issuer,
    time(fields.thisUpdate),
    time(fields.nextUpdate),
  ].map(encode);
  if (size > 0) front.push(encodeHeader(TAG.sequence, size));
  const back = encode(explicit(0, constructed(TAG.sequence, fields.extensions)));
  const tbsHeader = encodeHeader(TAG.sequence, sum(front) + size + back.length);
  const around = sum(front) + back.length;
  if (around > LIST_ROOM / 2)
    throw new BirthmarkError(
      'internal',
      `a list has ${around} octets beside its entries, which is no list of ours`,
    );
  const tbsStart = from - sum(front) - tbsHeader.length;
  let at = tbsStart;
  const put = (octets: Uint8Array) => {
    memory.set(octets, at);
    at += octets.length;
  };
  for (const part of [tbsHeader, ...front]) put(part);
  at = to;
  put(back);
  return {
    tbs: memory.subarray(tbsStart, at),
    assemble(signature) {
      const end = [signatureAlgorithm, encode(bitString(signature))];
      const outer = encodeHeader(TAG.sequence, at - tbsStart + sum(end));
      const start = tbsStart - outer.length;
      memory.set(outer, start);
      for (const part of end) put(part);
      return memory.subarray(start, at);
    },
  };
}

function sum(parts: readonly Uint8Array[]): number {
  return parts.reduce((total, { length }) => total + length, 0);
}
