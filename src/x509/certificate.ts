import { equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { constructed, type Der, encode, explicit, sequence } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { bitString, integer, time, unsigned } from './der/values.ts';
import { assertName } from './name.ts';
import { splitPublicKey } from './public-key.ts';

/** What goes into a tbsCertificate (RFC 5280 §4.1). Every field is given: nothing is filled in. */
export interface TbsFields {
  /** Big-endian octets of a positive number. */
  readonly serial: Uint8Array;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  /** Name, DER: the issuer's subject to the octet. */
  readonly issuer: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly extensions: readonly Der[];
}

const VERSION_3 = encode(explicit(0, integer(2)));

/** DER of a v3 tbsCertificate. */
export function encodeTbsCertificate(fields: TbsFields): Buffer {
  return encode(
    sequence(
      VERSION_3,
      unsigned(fields.serial),
      fields.signatureAlgorithm,
      fields.issuer,
      sequence(time(fields.notBefore), time(fields.notAfter)),
      fields.subject,
      fields.spki,
      explicit(3, constructed(TAG.sequence, fields.extensions)),
    ),
  );
}

/** DER of a Certificate, or of any other structure signed in the same form (CRL, CSR). */
export function assembleSigned(
  tbs: Uint8Array,
  signatureAlgorithm: Uint8Array,
  signature: Uint8Array,
): Buffer {
  return encode(sequence(tbs, signatureAlgorithm, bitString(signature)));
}

export interface ReadExtension {
  readonly oid: string;
  readonly critical: boolean;
  /** What the extnValue holds. */
  readonly value: Uint8Array;
}

export interface ReadTime {
  /** UTCTime or GeneralizedTime. */
  readonly tag: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** A tbsCertificate as read. Octets are views into the input. */
export interface TbsCertificate {
  readonly raw: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Content octets of the INTEGER: two's complement, shortest form. */
  readonly serial: Uint8Array;
  readonly signatureAlgorithm: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBefore: ReadTime;
  readonly notAfter: ReadTime;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  /** issuerUniqueID or subjectUniqueID is there. */
  readonly hasUniqueIds: boolean;
  /** In their order; a type may be there twice, see `parseCertificate`. */
  readonly extensions: readonly ReadExtension[];
}

export interface Certificate {
  readonly raw: Uint8Array;
  readonly tbs: TbsCertificate;
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Reads a tbsCertificate in strict DER. Says nothing of what its fields mean.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readTbsCertificate(der: Uint8Array): TbsCertificate {
  const outer = new DerReader(der);
  const fields = outer.sequence('tbsCertificate');
  outer.finish('tbsCertificate');
  const version = readVersion(fields);
  const serial = fields.integer('serialNumber');
  const signatureAlgorithm = fields.raw('signature', TAG.sequence);
  const issuer = fields.raw('issuer', TAG.sequence);
  const validity = fields.sequence('validity');
  const notBefore = readTime(validity, 'notBefore');
  const notAfter = readTime(validity, 'notAfter');
  validity.finish('validity');
  const subject = fields.raw('subject', TAG.sequence);
  const spki = fields.raw('subjectPublicKeyInfo', TAG.sequence);
  let hasUniqueIds = false;
  for (const tag of [TAG.context | 1, TAG.context | 2]) {
    if (fields.nextTag !== tag) continue;
    fields.content(tag, 'unique identifier');
    hasUniqueIds = true;
  }
  const extensions =
    fields.nextTag === (TAG.contextConstructed | 3)
      ? readExtensions(fields.enter(TAG.contextConstructed | 3, 'extensions'))
      : [];
  fields.finish('tbsCertificate');
  return {
    raw: der,
    version,
    serial,
    signatureAlgorithm,
    issuer,
    notBefore,
    notAfter,
    subject,
    spki,
    hasUniqueIds,
    extensions,
  };
}

function readVersion(fields: DerReader): number {
  const tagged = fields.enterOptional(TAG.contextConstructed, 'version');
  if (!tagged) return 1;
  const version = tagged.smallInteger('version') + 1;
  tagged.finish('version');
  if (version === 1) throw new BirthmarkError('bad-der', 'version v1 is the default and must be left out');
  return version;
}

function readTime(fields: DerReader, what: string): ReadTime {
  return { tag: fields.nextTag, at: fields.time(what) };
}

/**
 * Reads Extensions from inside their tag to the end.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readExtensions(tagged: DerReader): ReadExtension[] {
  const list = tagged.sequence('extensions');
  tagged.finish('extensions');
  if (list.atEnd) throw new BirthmarkError('bad-der', 'extensions are an empty SEQUENCE');
  const extensions: ReadExtension[] = [];
  while (!list.atEnd) {
    const fields = list.sequence('extension');
    const oid = fields.oid('extnID');
    let critical = false;
    if (fields.nextTag === TAG.boolean) {
      critical = fields.boolean('critical');
      if (!critical)
        throw new BirthmarkError('bad-der', 'critical FALSE is the default and must be left out');
    }
    const value = fields.octetString('extnValue');
    fields.finish('extension');
    extensions.push({ oid, critical, value });
  }
  return extensions;
}

export interface Signed {
  /** The signed part, header and all, of which nothing is read yet. */
  readonly tbs: Uint8Array;
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Splits SIGNED{…}: the form of certificates, CSRs and CRLs.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readSigned(der: Uint8Array, what: string): Signed {
  const outer = new DerReader(der);
  const fields = outer.sequence(what);
  outer.finish(what);
  const tbs = fields.unread(what, TAG.sequence);
  const signatureAlgorithm = fields.raw('signatureAlgorithm', TAG.sequence);
  const signature = fields.octetsOfBitString('signature');
  fields.finish(what);
  return { tbs, signatureAlgorithm, signature };
}

/**
 * Reads a certificate without judging what it says: duplicate extensions are kept, as the lint wants to see them.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readCertificate(der: Uint8Array): Certificate {
  const { tbs, signatureAlgorithm, signature } = readSigned(der, 'certificate');
  return { raw: der, tbs: readTbsCertificate(tbs), signatureAlgorithm, signature };
}

/** Above any honest certificate, ML-DSA-87 included: bounds what a stranger makes us parse. */
const MAX_CERTIFICATE_OCTETS = 32 * 1024;

/**
 * Reads a certificate that is to be used: v3, algorithms inside and outside equal, names and key in their form, no
 * extension twice (RFC 5280 §4.1, §4.2).
 *
 * @param knowsName whether the octets are a Name that was read before, which saves reading the issuer's once more
 * @throws BirthmarkError `bad-der`, `bad-certificate`
 */
export function parseCertificate(der: Uint8Array, knowsName?: (octets: Uint8Array) => boolean): Certificate {
  const refuse = (why: string) => new BirthmarkError('bad-certificate', `the certificate ${why}`);
  if (der.length > MAX_CERTIFICATE_OCTETS) throw refuse(`has more than ${MAX_CERTIFICATE_OCTETS} octets`);
  const certificate = readCertificate(der);
  const { tbs } = certificate;
  if (tbs.version !== 3) throw refuse(`is v${tbs.version}, not v3`);
  if (!equalBytes(tbs.signatureAlgorithm, certificate.signatureAlgorithm))
    throw refuse('names two signature algorithms');
  if (!knowsName?.(tbs.issuer)) assertName(tbs.issuer);
  assertName(tbs.subject);
  readAlgorithmId(tbs.signatureAlgorithm);
  readAlgorithmId(splitPublicKey(tbs.spki).algorithm);
  const twice = findTwice(tbs.extensions);
  if (twice !== undefined) throw refuse(`has extension ${twice} twice`);
  return certificate;
}

/** The type of which there are two, if there is one. */
function findTwice(extensions: readonly ReadExtension[]): string | undefined {
  // A certificate has ten of them, for which a set is slower; a hostile one may have thousands.
  if (extensions.length > 16) {
    const seen = new Set<string>();
    return extensions.find(({ oid }) => seen.size === seen.add(oid).size)?.oid;
  }
  return extensions.find(({ oid }, at) => extensions.findIndex((other) => other.oid === oid) < at)?.oid;
}

/** AlgorithmIdentifier: an object identifier and at most one value of parameters (RFC 5280 §4.1.1.2). */
function readAlgorithmId(der: Uint8Array): void {
  const fields = new DerReader(der).sequence('algorithm');
  fields.oid('algorithm');
  if (!fields.atEnd) fields.raw('parameters');
  fields.finish('algorithm');
}

/** The extension of that type, if it is there. */
export function findExtension(tbs: TbsCertificate, oid: string): ReadExtension | undefined {
  return tbs.extensions.find((extension) => extension.oid === oid);
}
