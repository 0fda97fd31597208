import { BirthmarkError } from '../core/errors.ts';
import { type ReadExtension, readExtensions } from './certificate.ts';
import { constructed, type Der, encode, explicit, sequence } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { octetString, oid, unsigned } from './der/values.ts';

/** Object identifiers of OCSP's extensions (RFC 6960 §4.4). */
export const OCSP_EXTENSION = {
  nonce: '1.3.6.1.5.5.7.48.1.2',
  acceptableResponses: '1.3.6.1.5.5.7.48.1.4',
  noCheck: '1.3.6.1.5.5.7.48.1.5',
  archiveCutoff: '1.3.6.1.5.5.7.48.1.6',
  preferredAlgorithms: '1.3.6.1.5.5.7.48.1.8',
  extendedRevoke: '1.3.6.1.5.5.7.48.1.9',
} as const;

/** More certificates than an honest client asks for at once. */
export const MAX_CERT_IDS = 20;
/** RFC 9654 §2.1: a nonce of another length is an error. */
const MAX_NONCE = 128;

/** Which certificate is asked for. Octets are views into the request. */
export interface CertId {
  /** The content of the CertID without the serial number, see `certIdIssuer`. */
  readonly issuer: Uint8Array;
  /** Content octets of the INTEGER. */
  readonly serial: Uint8Array;
  /** The whole CertID, DER: an answer repeats it to the octet. */
  readonly raw: Uint8Array;
}

export interface OcspRequest {
  /** 1 to 20, in their order. */
  readonly certIds: readonly CertId[];
  /** 1 to 128 octets. */
  readonly nonce: Uint8Array | undefined;
}

/** What we know and may be critical: it changes nothing of what we answer, or we do it. */
const KNOWN: readonly string[] = [
  OCSP_EXTENSION.nonce,
  OCSP_EXTENSION.acceptableResponses,
  OCSP_EXTENSION.preferredAlgorithms,
];

/**
 * Reads an OCSPRequest (RFC 6960 §4.1.1) in strict DER. Who asks (requestorName, a signature) is read and not looked at:
 * everybody may.
 *
 * @throws BirthmarkError `bad-der` for what must be answered with malformedRequest
 */
export function readOcspRequest(der: Uint8Array): OcspRequest {
  const outer = new DerReader(der);
  const request = outer.sequence('OCSPRequest');
  outer.finish('OCSPRequest');
  const tbs = request.sequence('tbsRequest');
  if (request.nextTag === TAG.contextConstructed) readSignature(request);
  request.finish('OCSPRequest');
  // version [0] DEFAULT v1: there is no other, and DER leaves the default out.
  if (tbs.nextTag === (TAG.contextConstructed | 1)) {
    const requestor = tbs.enter(TAG.contextConstructed | 1, 'requestorName');
    requestor.raw('requestorName');
    requestor.finish('requestorName');
  }
  const list = tbs.sequence('requestList');
  const certIds: CertId[] = [];
  while (!list.atEnd) {
    if (certIds.length === MAX_CERT_IDS) throw malformed(`asks for more than ${MAX_CERT_IDS} certificates`);
    certIds.push(readRequest(list));
  }
  if (certIds.length === 0) throw malformed('asks for no certificate');
  const extensions = readTagged(tbs, 2);
  tbs.finish('tbsRequest');
  refuseUnknown(extensions, KNOWN);
  return { certIds, nonce: readNonce(extensions) };
}

/** Request: a CertID, and extensions of which we know none. */
function readRequest(list: DerReader): CertId {
  const request = list.sequence('request');
  const raw = request.unread('reqCert', TAG.sequence);
  refuseUnknown(readTagged(request, 0), []);
  request.finish('request');
  const whole = new DerReader(raw);
  const fields = whole.sequence('reqCert');
  const algorithm = fields.raw('hashAlgorithm', TAG.sequence);
  const name = fields.octetString('issuerNameHash');
  const key = fields.octetString('issuerKeyHash');
  const serial = fields.integer('serialNumber');
  fields.finish('reqCert');
  // They lie one behind the other: from the algorithm's first octet to the key hash's last.
  const start = algorithm.byteOffset - raw.byteOffset;
  const end = key.byteOffset + key.length - raw.byteOffset;
  if (name.length === 0 || key.length === 0) throw malformed('has an empty hash');
  return { raw, issuer: raw.subarray(start, end), serial };
}

function readTagged(fields: DerReader, number: number): readonly ReadExtension[] {
  const tagged = fields.enterOptional(TAG.contextConstructed | number, 'extensions');
  return tagged ? readExtensions(tagged) : [];
}

/** Signature: read for its form. A signed request is answered like any other (RFC 6960 §4.1.2). */
function readSignature(request: DerReader): void {
  const tagged = request.enter(TAG.contextConstructed, 'optionalSignature');
  const signature = tagged.sequence('optionalSignature');
  tagged.finish('optionalSignature');
  signature.raw('signatureAlgorithm', TAG.sequence);
  signature.raw('signature', TAG.bitString);
  if (!signature.atEnd) signature.raw('certs', TAG.contextConstructed);
  signature.finish('optionalSignature');
}

function refuseUnknown(extensions: readonly ReadExtension[], known: readonly string[]): void {
  const unknown = extensions.find(({ oid, critical }) => critical && !known.includes(oid));
  if (unknown) throw malformed(`has a critical extension that is not known: ${unknown.oid}`);
  const twice = extensions.find(
    ({ oid }, at) => extensions.findIndex((other) => other.oid === oid) < at && known.includes(oid),
  );
  if (twice) throw malformed(`has extension ${twice.oid} twice`);
}

/** RFC 9654 §2.1: an OCTET STRING in the extension's OCTET STRING, of 1 to 128 octets. */
function readNonce(extensions: readonly ReadExtension[]): Uint8Array | undefined {
  const found = extensions.find(({ oid }) => oid === OCSP_EXTENSION.nonce);
  if (!found) return undefined;
  const reader = new DerReader(found.value);
  const nonce = reader.octetString('nonce');
  reader.finish('nonce');
  if (nonce.length === 0 || nonce.length > MAX_NONCE)
    throw malformed(`has a nonce of ${nonce.length} octets; RFC 9654 §2.1 allows 1 to ${MAX_NONCE}`);
  return nonce;
}

function malformed(why: string): BirthmarkError {
  return new BirthmarkError('bad-der', `the OCSP request ${why}`);
}

/** DER of a CertID. @param issuer see `certIdIssuer` */
export function encodeCertId(issuer: Uint8Array, serial: Uint8Array): Buffer {
  return encode(sequence(issuer, unsigned(serial)));
}

const NONCE = encode(oid(OCSP_EXTENSION.nonce));

/** DER of the nonce extension. */
export function nonceExtension(nonce: Uint8Array): Der {
  return sequence(NONCE, constructed(TAG.octetString, [octetString(nonce)]));
}

/** DER of an OCSPRequest for one certificate, with a nonce where one is given. */
export function encodeOcspRequest(certId: Uint8Array, nonce: Uint8Array | undefined): Buffer {
  const list = sequence(sequence(certId));
  const tbs =
    nonce === undefined ? sequence(list) : sequence(list, explicit(2, sequence(nonceExtension(nonce))));
  return encode(sequence(tbs));
}
