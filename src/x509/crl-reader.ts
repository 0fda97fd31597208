import { asBuffer, equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { findVerifyingAlgorithm, type VerifyingAlgorithm } from './algorithms.ts';
import { type ReadExtension, readExtensions, readSigned } from './certificate.ts';
import { nameKey } from './compare-names.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { type IssuingDistributionPoint, readIssuingDistributionPoint } from './distribution-point.ts';
import { EXTENSION } from './extensions.ts';
import { GENERAL_NAME, readGeneralNames } from './general-name.ts';
import { assertName } from './name.ts';

/** Extensions of entries (RFC 5280 §5.3). */
const REASON_CODE = '2.5.29.21';
const INVALIDITY_DATE = '2.5.29.24';
const CERTIFICATE_ISSUER = '2.5.29.29';

/** One certificate on a list. */
export interface CrlEntry {
  /** Milliseconds since the epoch. */
  readonly revokedAt: number;
  /** Number of a CRLReason (RFC 5280 §5.3.1); 0 where none is given. */
  readonly reason: number;
  /** Milliseconds since the epoch, where it is said (RFC 5280 §5.3.2). */
  readonly invalidityAt?: number;
}

/** An entry with what it is of. */
export interface ListedCertificate extends CrlEntry {
  /** Content octets of the serialNumber, hexadecimal. */
  readonly serial: string;
}

/** A CRL as read: strict DER, every entry looked at. */
export interface Crl {
  readonly raw: Uint8Array;
  readonly signedOctets: Uint8Array;
  /** Undefined for one that we cannot verify. */
  readonly algorithm: VerifyingAlgorithm | undefined;
  readonly signature: Uint8Array;
  /** Under which certificates' keys the signature was tried, and what came out. */
  readonly verifiedBy: WeakMap<object, boolean>;
  /** For people. */
  readonly title: string;
  /** Name, DER. */
  readonly issuer: Uint8Array;
  /** See `nameKey`. */
  readonly issuerKey: string;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
  readonly number: bigint | undefined;
  /** Of a delta: the number of the complete list that it starts from. */
  readonly baseNumber: bigint | undefined;
  readonly distributionPoint: IssuingDistributionPoint | undefined;
  /** The value of the extension: two lists are of one scope where it is the same. */
  readonly scope: string;
  readonly authorityKeyIdentifier: string;
  /** Why RFC 5280 forbids to use it, if it does. */
  readonly unusable: string | undefined;
  /** Number of entries. */
  readonly size: number;
  /**
   * The entry for a certificate.
   *
   * @param issuerKey `nameKey` of the certificate's issuer
   * @param serial content octets of the certificate's serialNumber
   */
  readonly find: (issuerKey: string, serial: Uint8Array) => CrlEntry | undefined;
  /** All entries, in their order; of an indirect list also those of other issuers. */
  readonly list: () => Iterable<ListedCertificate>;
}

/** Entries by serial number; those of an indirect list under another issuer's name have it in front. */
type Entries = Map<string, CrlEntry>;

/**
 * Reads a CertificateList (RFC 5280 §5.1). What is well formed and must not be used all the same has `unusable`.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readCrl(der: Uint8Array): Crl {
  const { tbs, signatureAlgorithm, signature } = readSigned(der, 'certificateList');
  const outer = new DerReader(tbs);
  const fields = outer.sequence('tbsCertList');
  outer.finish('tbsCertList');
  const version = fields.nextTag === TAG.integer ? fields.smallInteger('version') + 1 : 1;
  const innerAlgorithm = fields.raw('signature', TAG.sequence);
  const issuer = fields.raw('issuer', TAG.sequence);
  assertName(issuer);
  const issuerKey = nameKey(issuer);
  const thisUpdate = fields.time('thisUpdate');
  const isTime = fields.nextTag === TAG.utcTime || fields.nextTag === TAG.generalizedTime;
  const nextUpdate = isTime ? fields.time('nextUpdate') : undefined;
  const defects: string[] = [];
  const entries: Entries = new Map();
  const list = fields.enterOptional(TAG.sequence, 'revokedCertificates');
  if (list) readEntries(list, issuerKey, entries, defects);
  const tagged = fields.enterOptional(TAG.contextConstructed, 'crlExtensions');
  const extensions = tagged ? readExtensions(tagged) : [];
  fields.finish('tbsCertList');
  const said = readCrlExtensions(extensions, defects);
  if (version !== 2) defects.push('it is not v2');
  if (!equalBytes(innerAlgorithm, signatureAlgorithm)) defects.push('it names two signature algorithms');
  if (issuer.length === 2) defects.push('its issuer is empty');
  // RFC 5280 §5.1.2.5, §5.2.3: MUST be there.
  if (nextUpdate === undefined) defects.push('it has no nextUpdate');
  if (said.number === undefined) defects.push('it has no cRLNumber');
  const indirect = said.distributionPoint?.indirectCrl === true;
  if (!indirect && [...entries.keys()].some((key) => key.includes('\n')))
    defects.push('it is indirect and does not say so');
  return {
    raw: der,
    signedOctets: tbs,
    title: 'the CRL',
    algorithm: findVerifyingAlgorithm(signatureAlgorithm),
    signature,
    verifiedBy: new WeakMap(),
    issuer,
    issuerKey,
    thisUpdate,
    nextUpdate,
    ...said,
    unusable: defects[0],
    size: entries.size,
    find: (issuerOfCertificate, serial) =>
      entries.get(entryKey(issuerOfCertificate === issuerKey ? '' : issuerOfCertificate, serial)),
    *list() {
      for (const [key, entry] of entries) yield { serial: key.slice(key.indexOf('\n') + 1), ...entry };
    },
  };
}

function entryKey(otherIssuer: string, serial: Uint8Array): string {
  const number = asBuffer(serial).toString('hex');
  return otherIssuer === '' ? number : `${otherIssuer}\n${number}`;
}

function readEntries(list: DerReader, issuerKey: string, entries: Entries, defects: string[]): void {
  // RFC 5280 §5.3.3: an issuer that an entry names holds for the entries behind it too.
  let otherIssuer = '';
  while (!list.atEnd) {
    const fields = list.sequence('revokedCertificate');
    const serial = fields.integer('userCertificate');
    const revokedAt = fields.time('revocationDate');
    let reason = 0;
    let invalidityAt: number | undefined;
    if (!fields.atEnd) {
      const said = readEntryExtensions(readExtensions(fields), defects);
      ({ reason, invalidityAt } = said);
      if (said.issuerKey !== undefined) otherIssuer = said.issuerKey === issuerKey ? '' : said.issuerKey;
    }
    fields.finish('revokedCertificate');
    const key = entryKey(otherIssuer, serial);
    if (entries.has(key)) defects.push('it lists a certificate twice');
    entries.set(key, { revokedAt, reason, ...(invalidityAt !== undefined && { invalidityAt }) });
  }
}

function readEntryExtensions(
  extensions: readonly ReadExtension[],
  defects: string[],
): {
  readonly reason: number;
  readonly invalidityAt: number | undefined;
  readonly issuerKey: string | undefined;
} {
  let reason = 0;
  let invalidityAt: number | undefined;
  let issuerKey: string | undefined;
  refuseTwice(extensions, defects);
  for (const { oid, critical, value } of extensions) {
    const reader = new DerReader(value);
    switch (oid) {
      case REASON_CODE: {
        const content = reader.content(TAG.enumerated, 'reasonCode');
        reason = content[0] ?? 0xff;
        if (content.length !== 1 || reason > 10 || reason === 7)
          throw new BirthmarkError('bad-der', 'a reasonCode is not one of RFC 5280 §5.3.1');
        break;
      }
      case INVALIDITY_DATE:
        invalidityAt = reader.time('invalidityDate');
        break;
      case CERTIFICATE_ISSUER: {
        const names = readGeneralNames(reader.sequence('certificateIssuer'), 'certificateIssuer');
        const directory = names.find(({ kind }) => kind === GENERAL_NAME.directory);
        if (!directory) defects.push('it names the issuer of a certificate by no distinguished name');
        else issuerKey = nameKey(directory.content);
        break;
      }
      default:
        if (critical) defects.push(`an entry has a critical extension that is not known: ${oid}`);
        continue;
    }
    reader.finish('entry extension');
  }
  return { reason, invalidityAt, issuerKey };
}

type Said = Pick<Crl, 'number' | 'baseNumber' | 'distributionPoint' | 'scope' | 'authorityKeyIdentifier'>;

function readCrlExtensions(extensions: readonly ReadExtension[], defects: string[]): Said {
  const said: { -readonly [Field in keyof Said]: Said[Field] } = {
    number: undefined,
    baseNumber: undefined,
    distributionPoint: undefined,
    scope: '',
    authorityKeyIdentifier: '',
  };
  refuseTwice(extensions, defects);
  for (const { oid, critical, value } of extensions) {
    const reader = new DerReader(value);
    switch (oid) {
      case EXTENSION.crlNumber:
        if (critical) defects.push('its cRLNumber is critical (RFC 5280 §5.2.3)');
        said.number = readNumber(reader);
        break;
      case EXTENSION.deltaCrlIndicator:
        if (!critical) defects.push('its deltaCRLIndicator is not critical (RFC 5280 §5.2.4)');
        said.baseNumber = readNumber(reader);
        break;
      case EXTENSION.issuingDistributionPoint:
        if (!critical) defects.push('its issuingDistributionPoint is not critical (RFC 5280 §5.2.5)');
        said.distributionPoint = readIssuingDistributionPoint(value);
        said.scope = asBuffer(value).toString('latin1');
        continue;
      case EXTENSION.authorityKeyIdentifier:
        said.authorityKeyIdentifier = asBuffer(reader.raw('authorityKeyIdentifier')).toString('latin1');
        break;
      default:
        // RFC 5280 §5.2: a list with a critical extension that is not known MUST NOT be used.
        if (critical) defects.push(`it has a critical extension that is not known: ${oid}`);
        continue;
    }
    reader.finish('CRL extension');
  }
  return said;
}

/** CRLNumber: at most 20 octets (RFC 5280 §5.2.3). */
function readNumber(reader: DerReader): bigint {
  const content = reader.integer('CRLNumber');
  if ((content[0] ?? 0) >= 0x80 || content.length > 21)
    throw new BirthmarkError('bad-der', 'a CRLNumber is negative or too long');
  return BigInt(`0x${asBuffer(content).toString('hex')}`);
}

function refuseTwice(extensions: readonly ReadExtension[], defects: string[]): void {
  if (new Set(extensions.map(({ oid }) => oid)).size < extensions.length)
    defects.push('it has an extension twice');
}
