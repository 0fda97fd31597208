import { constructed, type Der, encode, explicit, sequence } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { integer, time } from './der/values.ts';

/** What goes into a tbsCertList (RFC 5280 §5.1). */
export interface TbsCertListFields {
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  /** Name, DER: the authority's subject to the octet. */
  readonly issuer: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Encoded entries; none leaves revokedCertificates out (RFC 5280 §5.1.2.6). */
  readonly entries: readonly Der[];
  readonly extensions: readonly Der[];
}

const VERSION_2 = encode(integer(1));

/** DER of a v2 tbsCertList. */
export function encodeTbsCertList(fields: TbsCertListFields): Buffer {
  return encode(
    sequence(
      VERSION_2,
      fields.signatureAlgorithm,
      fields.issuer,
      time(fields.thisUpdate),
      time(fields.nextUpdate),
      // Not as arguments, which a large list's entries are too many for.
      ...(fields.entries.length === 0 ? [] : [constructed(TAG.sequence, fields.entries)]),
      explicit(0, constructed(TAG.sequence, fields.extensions)),
    ),
  );
}
