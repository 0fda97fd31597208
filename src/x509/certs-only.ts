import { constructed, encode, explicit, sequence, setOf } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { integer, oid } from './der/values.ts';

const DATA = encode(oid('1.2.840.113549.1.7.1'));
const SIGNED_DATA = encode(oid('1.2.840.113549.1.7.2'));

/**
 * The degenerate SignedData that only carries certificates, DER: version 1, no digest algorithms, id-data without eContent,
 * no CRLs, no signers (RFC 5272 §4.1, RFC 5652 §5.1).
 *
 * @param certificates DER; they come out in the order of a SET OF, whatever order they are given in (X.690 §11.6)
 */
export function encodeCertsOnly(certificates: readonly Uint8Array[]): Buffer {
  const signedData = sequence(
    integer(1),
    setOf(),
    sequence(DATA),
    constructed(TAG.contextConstructed, [...certificates].sort(Buffer.compare)),
    setOf(),
  );
  return encode(sequence(SIGNED_DATA, explicit(0, signedData)));
}
