import { hash } from 'node:crypto';
import { equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { findVerifyingAlgorithm, type VerifyingAlgorithm, verifyWith } from './algorithms.ts';
import {
  type Certificate,
  findExtension,
  parseCertificate,
  type ReadExtension,
  readExtensions,
  type TbsCertificate,
} from './certificate.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { EXTENDED_KEY_USAGE, EXTENSION, KEY_USAGE } from './extensions.ts';
import { OCSP_EXTENSION } from './ocsp-request.ts';
import { type CertStatus, OCSP_STATUS } from './ocsp-response.ts';
import { importPublicKey, parsePublicKey, splitPublicKey } from './public-key.ts';

/** What a responder says of one certificate. Times in milliseconds since the epoch. */
export interface ReadSingle {
  /** CertID, DER. */
  readonly certId: Uint8Array;
  readonly status: CertStatus;
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
}

/** A successful OCSPResponse as read; nothing is verified yet. */
export interface OcspResponse {
  readonly signedOctets: Uint8Array;
  readonly algorithm: VerifyingAlgorithm | undefined;
  readonly signature: Uint8Array;
  readonly responder: { readonly kind: 'name' | 'key'; readonly octets: Uint8Array };
  readonly producedAt: number;
  readonly responses: readonly ReadSingle[];
  readonly nonce: Uint8Array | undefined;
  readonly certificates: readonly Uint8Array[];
}

const BASIC = '1.3.6.1.5.5.7.48.1.1';

/**
 * Reads an OCSPResponse (RFC 6960 §4.2.1) in strict DER.
 *
 * @throws BirthmarkError `bad-der`; `unavailable` where the responder answers with an error, which the message names
 */
export function readOcspResponse(der: Uint8Array): OcspResponse {
  const outer = new DerReader(der);
  const fields = outer.sequence('OCSPResponse');
  outer.finish('OCSPResponse');
  const status = fields.content(TAG.enumerated, 'responseStatus');
  const name = Object.entries(OCSP_STATUS).find(([, number]) => number === status[0])?.[0];
  if (status.length !== 1 || name === undefined) throw malformed('has a status that is none');
  if (name !== 'successful') {
    fields.finish('OCSPResponse');
    throw new BirthmarkError('unavailable', `the OCSP responder says ${name}`);
  }
  const tagged = fields.enter(TAG.contextConstructed, 'responseBytes');
  fields.finish('OCSPResponse');
  const bytes = tagged.sequence('responseBytes');
  tagged.finish('responseBytes');
  if (bytes.oid('responseType') !== BASIC) throw malformed('is of a type that is not id-pkix-ocsp-basic');
  const basic = bytes.octetString('response');
  bytes.finish('responseBytes');
  return readBasic(basic);
}

function readBasic(der: Uint8Array): OcspResponse {
  const outer = new DerReader(der);
  const fields = outer.sequence('BasicOCSPResponse');
  outer.finish('BasicOCSPResponse');
  const signedOctets = fields.unread('tbsResponseData', TAG.sequence);
  const algorithm = findVerifyingAlgorithm(fields.raw('signatureAlgorithm', TAG.sequence));
  const signature = fields.octetsOfBitString('signature');
  const certificates: Uint8Array[] = [];
  const tagged = fields.enterOptional(TAG.contextConstructed, 'certs');
  if (tagged) {
    const list = tagged.sequence('certs');
    tagged.finish('certs');
    while (!list.atEnd) certificates.push(list.raw('certificate', TAG.sequence));
  }
  fields.finish('BasicOCSPResponse');
  return { ...readData(signedOctets), signedOctets, algorithm, signature, certificates };
}

function readData(der: Uint8Array): Pick<OcspResponse, 'responder' | 'producedAt' | 'responses' | 'nonce'> {
  const data = new DerReader(der).sequence('tbsResponseData');
  const byKey = data.nextTag === (TAG.contextConstructed | 2);
  const id = data.enter(TAG.contextConstructed | (byKey ? 2 : 1), 'responderID');
  const octets = byKey ? id.octetString('byKey') : id.raw('byName', TAG.sequence);
  id.finish('responderID');
  const producedAt = readTime(data, 'producedAt');
  const list = data.sequence('responses');
  const responses: ReadSingle[] = [];
  while (!list.atEnd) responses.push(readSingle(list));
  const extensions = readTagged(data);
  data.finish('tbsResponseData');
  refuseCritical(extensions, [OCSP_EXTENSION.nonce, OCSP_EXTENSION.extendedRevoke]);
  const found = extensions.find(({ oid }) => oid === OCSP_EXTENSION.nonce);
  let nonce: Uint8Array | undefined;
  if (found) {
    const reader = new DerReader(found.value);
    nonce = reader.octetString('nonce');
    reader.finish('nonce');
  }
  return { responder: { kind: byKey ? 'key' : 'name', octets }, producedAt, responses, nonce };
}

function readSingle(list: DerReader): ReadSingle {
  const fields = list.sequence('singleResponse');
  const certId = fields.raw('certID', TAG.sequence);
  const status = readStatus(fields);
  const thisUpdate = readTime(fields, 'thisUpdate');
  const tagged = fields.enterOptional(TAG.contextConstructed, 'nextUpdate');
  const nextUpdate = tagged && readTime(tagged, 'nextUpdate');
  tagged?.finish('nextUpdate');
  refuseCritical(readTagged(fields), []);
  fields.finish('singleResponse');
  return { certId, status, thisUpdate, nextUpdate };
}

function readStatus(fields: DerReader): CertStatus {
  for (const [number, status] of [
    [0, 'good'],
    [2, 'unknown'],
  ] as const) {
    if (fields.nextTag !== (TAG.context | number)) continue;
    if (fields.content(TAG.context | number, 'certStatus').length > 0)
      throw malformed('has a status that is not NULL');
    return { status };
  }
  const revoked = fields.enter(TAG.contextConstructed | 1, 'certStatus');
  const revokedAt = readTime(revoked, 'revocationTime');
  const tagged = revoked.enterOptional(TAG.contextConstructed, 'revocationReason');
  revoked.finish('certStatus');
  if (!tagged) return { status: 'revoked', revokedAt };
  const [reason = 0xff, ...more] = tagged.content(TAG.enumerated, 'revocationReason');
  tagged.finish('revocationReason');
  if (more.length > 0 || reason > 10 || reason === 7) throw malformed('has a reason that is none');
  return { status: 'revoked', revokedAt, reason };
}

function readTagged(fields: DerReader): readonly ReadExtension[] {
  const tagged = fields.enterOptional(TAG.contextConstructed | 1, 'extensions');
  return tagged ? readExtensions(tagged) : [];
}

/** RFC 6960 §4.2.2.1: always GeneralizedTime. */
function readTime(fields: DerReader, what: string): number {
  if (fields.nextTag !== TAG.generalizedTime) throw malformed(`has a ${what} that is no GeneralizedTime`);
  return fields.time(what);
}

function refuseCritical(extensions: readonly ReadExtension[], known: readonly string[]): void {
  const unknown = extensions.find(({ oid, critical }) => critical && !known.includes(oid));
  if (unknown) throw malformed(`has a critical extension that is not known: ${unknown.oid}`);
}

function malformed(why: string): BirthmarkError {
  return new BirthmarkError('bad-der', `the OCSP response ${why}`);
}

export interface OcspExpectation {
  /** The certificate of the authority that issued the one in question. */
  readonly issuer: Pick<Certificate, 'tbs'>;
  /** CertID as it was asked for, DER; where nobody asked, all forms that name the certificate. */
  readonly certId: Uint8Array | readonly Uint8Array[];
  /** What is known against a signer that the authority certified, if anything. */
  readonly signerFault?: (signer: TbsCertificate) => string | undefined;
  /** The nonce that was sent, if one was. A responder may leave it out (RFC 9654 §2.1); another one is refused. */
  readonly nonce?: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** So far the clocks may differ. */
  readonly skewMs: number;
}

/**
 * What a response says of a certificate, where it holds (RFC 6960 §3.2): signed by the issuer's key or by a signer that the
 * same key certified for it, about this certificate, now, and with our nonce if with one.
 *
 * @throws BirthmarkError `certificate-refused` that says what does not hold
 */
export function judgeOcspResponse(
  response: OcspResponse,
  { issuer, certId, nonce, now, skewMs, signerFault }: OcspExpectation,
): ReadSingle {
  const signer = findSigner(response, issuer, now, skewMs);
  const fault = signer === issuer ? undefined : signerFault?.(signer.tbs);
  if (fault !== undefined) throw refused(`has a signer that ${fault}`);
  const { algorithm } = response;
  if (!algorithm || algorithm.weak.length > 0) throw refused('is signed with an algorithm that is not taken');
  if (!isSignedBy(signer.tbs.spki, algorithm, response.signedOctets, response.signature))
    throw refused('was not signed by whom it names');
  if (response.nonce !== undefined && (nonce === undefined || !equalBytes(response.nonce, nonce)))
    throw refused('has another nonce than the request');
  const ids = certId instanceof Uint8Array ? [certId] : certId;
  const single = response.responses.find((one) => ids.some((id) => equalBytes(one.certId, id)));
  if (!single) throw refused('says nothing of this certificate');
  if (single.thisUpdate > now + skewMs) throw refused('is of the future');
  if (single.nextUpdate === undefined) throw refused('has no nextUpdate (RFC 9919 §3.2.4)');
  if (single.nextUpdate < now - skewMs) throw refused('is out of date');
  return single;
}

/** The issuer, or the certificate in the response that it made its responder's (RFC 6960 §4.2.2.2). */
function findSigner(
  { responder, certificates }: OcspResponse,
  issuer: Pick<Certificate, 'tbs'>,
  now: number,
  skewMs: number,
): Pick<Certificate, 'tbs'> {
  const isNamed = ({ tbs }: Pick<Certificate, 'tbs'>) =>
    equalBytes(
      responder.octets,
      responder.kind === 'name' ? tbs.subject : hash('sha1', splitPublicKey(tbs.spki).key, 'buffer'),
    );
  if (isNamed(issuer)) return issuer;
  const delegate = certificates.map((der) => parseCertificate(der)).find(isNamed);
  if (!delegate) throw refused('holds no certificate of whom it names as its signer');
  const { tbs } = delegate;
  const algorithm = findVerifyingAlgorithm(delegate.signatureAlgorithm);
  if (
    !equalBytes(tbs.issuer, issuer.tbs.subject) ||
    !algorithm ||
    algorithm.weak.length > 0 ||
    !isSignedBy(issuer.tbs.spki, algorithm, tbs.raw, delegate.signature)
  )
    throw refused('has a signer that this authority did not certify');
  if (!hasPurpose(delegate)) throw refused('has a signer without the purpose OCSPSigning');
  if (!maySign(delegate)) throw refused('has a signer whose keyUsage lacks digitalSignature');
  if (now < tbs.notBefore.at - skewMs || now > tbs.notAfter.at + skewMs)
    throw refused('has a signer whose certificate is not valid now');
  return delegate;
}

function maySign({ tbs }: Certificate): boolean {
  const found = findExtension(tbs, EXTENSION.keyUsage);
  if (!found) return true;
  return new DerReader(found.value).namedBits('keyUsage').includes(KEY_USAGE.digitalSignature);
}

/** anyExtendedKeyUsage does not count. */
function hasPurpose({ tbs }: Certificate): boolean {
  const found = findExtension(tbs, EXTENSION.extendedKeyUsage);
  if (!found) return false;
  const reader = new DerReader(found.value);
  const list = reader.sequence('extKeyUsage');
  reader.finish('extKeyUsage');
  let isThere = false;
  while (!list.atEnd) if (list.oid('keyPurposeId') === EXTENDED_KEY_USAGE.ocspSigning) isThere = true;
  return isThere;
}

function isSignedBy(
  spki: Uint8Array,
  algorithm: VerifyingAlgorithm,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  return (
    parsePublicKey(spki).kind === algorithm.keyKind &&
    verifyWith(algorithm, importPublicKey(spki), signed, signature)
  );
}

function refused(why: string): BirthmarkError {
  return new BirthmarkError('certificate-refused', `the OCSP response ${why}`);
}
