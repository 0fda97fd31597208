import { BirthmarkError } from '../core/errors.ts';
import { findSignatureAlgorithm, type SignatureAlgorithm } from './algorithms.ts';
import { type ReadExtension, readExtensions, readSigned } from './certificate.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { assertName } from './name.ts';
import { type PublicKeyInfo, parsePublicKey, verifyOnce } from './public-key.ts';

/** Attribute types of a CSR that we read (RFC 2985 §5.4). */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/** Above any honest request, ML-DSA-87 included: bounds what a stranger makes us parse. */
export const MAX_CSR_OCTETS = 16 * 1024;

/** A PKCS#10 request as read (RFC 2986). Octets are views into the input. */
export interface CertificateRequest {
  readonly raw: Uint8Array;
  /** CertificationRequestInfo, what the signature covers. */
  readonly info: Uint8Array;
  /** Name, DER. */
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly publicKey: PublicKeyInfo;
  readonly requestedExtensions: readonly ReadExtension[];
  /** Types of the other attributes: challengePassword and whatever else. */
  readonly otherAttributes: readonly string[];
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

/**
 * Reads a certification request in strict DER. The signature is not checked here, see `verifyPossession`.
 *
 * @throws BirthmarkError `bad-csr`, `bad-der`, `signature-algorithm-not-allowed`, or as `parsePublicKey`
 */
export function parseCsr(der: Uint8Array): CertificateRequest {
  if (der.length > MAX_CSR_OCTETS) throw badCsr(`has more than ${MAX_CSR_OCTETS} octets`);
  const signed = readSigned(der, 'certification request');
  const fields = new DerReader(signed.tbs).sequence('certificationRequestInfo');
  const version = fields.smallInteger('version');
  if (version !== 0) throw badCsr(`has version ${version}, PKCS#10 knows 0 only (RFC 2986 §4.1)`);
  const subject = fields.unread('subject', TAG.sequence);
  assertName(subject);
  const spki = fields.unread('subjectPublicKeyInfo', TAG.sequence);
  const { requestedExtensions, otherAttributes } = readAttributes(fields);
  fields.finish('certificationRequestInfo');
  const signatureAlgorithm = findSignatureAlgorithm(signed.signatureAlgorithm);
  if (!signatureAlgorithm) {
    throw new BirthmarkError(
      'signature-algorithm-not-allowed',
      'the CSR is signed with an algorithm that is not taken; sign it with ECDSA or RSA (PKCS#1 v1.5) and SHA-256, SHA-384 or SHA-512, or with Ed25519',
      { field: 'csr' },
    );
  }
  return {
    raw: der,
    info: signed.tbs,
    subject,
    spki,
    publicKey: parsePublicKey(spki),
    requestedExtensions,
    otherAttributes,
    signatureAlgorithm,
    signature: signed.signature,
  };
}

/** `attributes [0]`: required by RFC 2986 §4.1, but left out by some when empty, which does no harm. */
function readAttributes(
  fields: DerReader,
): Pick<CertificateRequest, 'requestedExtensions' | 'otherAttributes'> {
  let requestedExtensions: readonly ReadExtension[] | undefined;
  const otherAttributes: string[] = [];
  const seen = new Set<string>();
  const attributes = fields.enterOptional(TAG.contextConstructed, 'attributes');
  while (attributes && !attributes.atEnd) {
    const attribute = attributes.sequence('attribute');
    const type = attribute.oid('attribute type');
    const values = attribute.enter(TAG.set, 'attribute values');
    attribute.finish('attribute');
    if (seen.has(type)) throw badCsr(`has attribute ${type} twice`);
    seen.add(type);
    if (type !== EXTENSION_REQUEST) {
      while (!values.atEnd) values.raw('attribute value');
      otherAttributes.push(type);
      continue;
    }
    requestedExtensions = readExtensions(values);
    if (new Set(requestedExtensions.map(({ oid }) => oid)).size !== requestedExtensions.length) {
      throw badCsr('asks for one extension twice');
    }
  }
  return { requestedExtensions: requestedExtensions ?? [], otherAttributes };
}

/**
 * Proves that who made the CSR holds its private key: the self-signature of RFC 2986 §4.2.
 *
 * @throws BirthmarkError `proof-of-possession-failed`, `key-unreadable`
 */
export function verifyPossession(csr: CertificateRequest): void {
  const { signatureAlgorithm: algorithm, publicKey, spki, info, signature } = csr;
  if (algorithm.keyKind === publicKey.kind) {
    if (verifyOnce(algorithm, spki, info, signature)) return;
  }
  throw new BirthmarkError(
    'proof-of-possession-failed',
    "the CSR's signature was not made with the private key of the public key in it",
    { field: 'csr' },
  );
}

function badCsr(why: string): BirthmarkError {
  return new BirthmarkError('bad-csr', `the CSR ${why}`, { field: 'csr' });
}
