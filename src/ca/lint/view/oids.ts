import { decodeOidContent, encodeOidContent } from '../../../x509/der/oid.ts';
import { TAG } from '../../../x509/der/tags.ts';
import { EXTENDED_KEY_USAGE, EXTENSION, HARDWARE_MODULE_NAME } from '../../../x509/extensions.ts';
import { ATTRIBUTE_OIDS } from '../../../x509/name.ts';
import { hexOf, type Tlv } from './tlv.ts';

/** Object identifiers that rules speak of, beyond those that `src/x509/` writes. */
export const OID = {
  ...EXTENSION,
  subjectDirectoryAttributes: '2.5.29.9',
  deltaCrlIndicator: '2.5.29.27',
  subjectInfoAccess: '1.3.6.1.5.5.7.1.11',
  masaUrl: '1.3.6.1.5.5.7.1.32',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
  netscapeCertType: '2.16.840.1.113730.1.1',
  netscapeComment: '2.16.840.1.113730.1.13',
  ...ATTRIBUTE_OIDS,
  surname: '2.5.4.4',
  title: '2.5.4.12',
  name: '2.5.4.41',
  givenName: '2.5.4.42',
  initials: '2.5.4.43',
  generationQualifier: '2.5.4.44',
  dnQualifier: '2.5.4.46',
  pseudonym: '2.5.4.65',
  domainComponent: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
  ...EXTENDED_KEY_USAGE,
  cmcCa: '1.3.6.1.5.5.7.3.27',
  cmcRa: '1.3.6.1.5.5.7.3.28',
  cmcArchive: '1.3.6.1.5.5.7.3.29',
  cmKga: '1.3.6.1.5.5.7.3.32',
  ocspAccess: '1.3.6.1.5.5.7.48.1',
  caIssuersAccess: '1.3.6.1.5.5.7.48.2',
  hardwareModuleName: HARDWARE_MODULE_NAME,
  permanentIdentifier: '1.3.6.1.5.5.7.8.3',
  macAddress: '1.3.6.1.5.5.7.8.12',
  tpm20: '2.23.133.1.2',
  ekPermIdSha256: '2.23.133.12.1',
  verifiedTpmResidency: '2.23.133.11.1.1',
  verifiedTpmFixed: '2.23.133.11.1.2',
  verifiedTpmRestricted: '2.23.133.11.1.3',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  p521: '1.3.132.0.35',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaPss: '1.2.840.113549.1.1.10',
  ed25519: '1.3.101.112',
  mlDsa44: '2.16.840.1.101.3.4.3.17',
  mlDsa65: '2.16.840.1.101.3.4.3.18',
  mlDsa87: '2.16.840.1.101.3.4.3.19',
  md5WithRsa: '1.2.840.113549.1.1.4',
  sha1WithRsa: '1.2.840.113549.1.1.5',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  sha1WithEcdsa: '1.2.840.10045.4.1',
  sha256WithEcdsa: '1.2.840.10045.4.3.2',
  sha384WithEcdsa: '1.2.840.10045.4.3.3',
  sha512WithEcdsa: '1.2.840.10045.4.3.4',
} as const;

/** Known identifiers by a hash of their octets: finding one costs a tenth of decoding it. */
const known = new Map<number, { readonly content: Uint8Array; readonly dotted: string }>();
for (const dotted of Object.values(OID)) {
  const content = encodeOidContent(dotted);
  known.set(hashOctets(content, 0, content.length), { content, dotted });
}

/** Others that came by: a maker's own arcs come with each of its devices. */
const met = new Map<number, { readonly content: Uint8Array; readonly dotted: string }>();
const MOST_MET = 256;

function hashOctets(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at += 1) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
  return hash;
}

/**
 * Dotted form of an OBJECT IDENTIFIER. Where it has no such form (an arc above 2^53, as those made of a UUID have, or
 * a fault) its octets in hexadecimal, so that two of them can still be told apart.
 */
export function dottedOf(value: Tlv | undefined, tag: number = TAG.oid): string {
  if (value === undefined || value.tag !== tag) return 'none';
  const { bytes, content: start, end } = value;
  const hash = hashOctets(bytes, start, end);
  const found = known.get(hash) ?? met.get(hash);
  if (found !== undefined && matches(found.content, bytes, start, end)) return found.dotted;
  const dotted = decode(value);
  if (met.size === MOST_MET) met.clear();
  met.set(hash, { content: bytes.slice(start, end), dotted });
  return dotted;
}

function decode(value: Tlv): string {
  try {
    return decodeOidContent(value.bytes.subarray(value.content, value.end));
  } catch {
    return `0x${hexOf(value)}`;
  }
}

function matches(content: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (content.length !== end - start) return false;
  for (let i = 0; i < content.length; i += 1) if (content[i] !== bytes[start + i]) return false;
  return true;
}
