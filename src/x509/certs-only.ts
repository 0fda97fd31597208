import { BirthmarkError } from '../core/errors.ts';
import { constructed, encode, explicit, sequence, setOf } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { integer, oid } from './der/values.ts';

const DATA = encode(oid('1.2.840.113549.1.7.1'));
const SIGNED_DATA_OID = '1.2.840.113549.1.7.2';
const SIGNED_DATA = encode(oid(SIGNED_DATA_OID));

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

/** Above any honest list of authorities: bounds what a server can make us read. */
const MOST_CERTIFICATES = 32;

/**
 * The certificates of a SignedData that only carries them, DER of each, in no order that means anything (RFC 5272 §4.1).
 * CRLs beside them are passed over. Octets are views into the input.
 *
 * @throws BirthmarkError `bad-der` also where somebody signed it, or it has content, or no certificate
 */
export function readCertsOnly(der: Uint8Array): readonly Uint8Array[] {
  const outer = new DerReader(der);
  const info = outer.sequence('certs-only');
  outer.finish('certs-only');
  if (info.oid('contentType') !== SIGNED_DATA_OID) throw bad('is no SignedData');
  const tagged = info.enter(TAG.contextConstructed, 'content');
  info.finish('certs-only');
  const fields = tagged.sequence('signedData');
  tagged.finish('content');
  fields.smallInteger('version');
  if (!fields.enter(TAG.set, 'digestAlgorithms').atEnd) throw bad('has digest algorithms');
  const content = fields.sequence('encapContentInfo');
  content.oid('eContentType');
  if (!content.atEnd) throw bad('has content');
  const list = fields.enterOptional(TAG.contextConstructed, 'certificates');
  const certificates: Uint8Array[] = [];
  while (list && !list.atEnd) certificates.push(list.raw('certificate', TAG.sequence));
  if (fields.nextTag === (TAG.contextConstructed | 1)) fields.raw('crls');
  if (!fields.enter(TAG.set, 'signerInfos').atEnd) throw bad('has signers');
  fields.finish('signedData');
  if (certificates.length === 0) throw bad('has no certificate');
  if (certificates.length > MOST_CERTIFICATES) throw bad(`has more than ${MOST_CERTIFICATES} certificates`);
  return certificates;
}

function bad(why: string): BirthmarkError {
  return new BirthmarkError('bad-der', `the certs-only message ${why} (RFC 5272 §4.1)`);
}
