import { CSR_ATTRIBUTE } from './csr-attributes.ts';
import { constructed, type Der, encode, sequence, setOf } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { integer, oid, printableString } from './der/values.ts';
import { CHALLENGE_PASSWORD } from './est-attributes.ts';

export interface RequestFields {
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** For an extensionRequest, DER of each. */
  readonly extensions?: readonly Der[];
  /** In EST the channel binding in base64, whose characters a PrintableString has (RFC 7030 §3.5). */
  readonly challengePassword?: string;
}

/** DER of a CertificationRequestInfo, which is what a CSR's signature covers (RFC 2986 §4.1); `assembleSigned` makes the CSR. */
export function encodeRequestInfo({
  subject,
  spki,
  extensions = [],
  challengePassword,
}: RequestFields): Buffer {
  const attributes: Der[] = [];
  if (extensions.length > 0)
    attributes.push(sequence(oid(CSR_ATTRIBUTE.extensionRequest), setOf(sequence(...extensions))));
  if (challengePassword !== undefined)
    attributes.push(sequence(oid(CHALLENGE_PASSWORD), setOf(printableString(challengePassword))));
  // The list is a SET OF (X.690 §11.6), whose tag is IMPLICIT.
  const sorted = attributes.map(encode).sort(Buffer.compare);
  return encode(sequence(integer(0), subject, spki, constructed(TAG.contextConstructed, sorted)));
}
