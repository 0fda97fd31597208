import { constructed, type Der, encode, explicit, sequence } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { integer, time } from '../../src/x509/der/values.ts';

export interface TbsCertListFields {
  readonly signatureAlgorithm: Uint8Array;
  readonly issuer: Uint8Array;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entries: readonly Der[];
  readonly extensions: readonly Der[];
}

/** A v2 tbsCertList, put together by parts: the plain way, beside which the one for large lists is held. */
export function encodeTbsCertList(fields: TbsCertListFields): Buffer {
  return encode(
    sequence(
      encode(integer(1)),
      fields.signatureAlgorithm,
      fields.issuer,
      time(fields.thisUpdate),
      time(fields.nextUpdate),
      ...(fields.entries.length === 0 ? [] : [constructed(TAG.sequence, fields.entries)]),
      explicit(0, constructed(TAG.sequence, fields.extensions)),
    ),
  );
}
