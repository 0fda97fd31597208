import { BirthmarkError } from '../core/errors.ts';
import { type ReadExtension, readExtensions } from './certificate.ts';
import { nameKey } from './compare-names.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { GENERAL_NAME, readGeneralNames } from './general-name.ts';

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

/** An entry as read, with what it is of. */
export interface ReadCrlEntry {
  readonly entry: CrlEntry;
  /** Content octets of the serialNumber, a view into the list. */
  readonly serial: Uint8Array;
  /** `nameKey` of the certificate's issuer where an indirect list names one that is not its own; else empty. */
  readonly otherIssuer: string;
}

/**
 * Reads the entries of a list, one after the other: a list may have a million.
 *
 * @param content of revokedCertificates
 * @param issuerKey `nameKey` of the list's issuer
 * @param defects where what forbids to use the list is added
 * @throws BirthmarkError `bad-der`
 */
export function* readCrlEntries(
  content: Uint8Array,
  issuerKey: string,
  defects: string[],
): Generator<ReadCrlEntry> {
  const list = new DerReader(content);
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
    yield {
      entry: { revokedAt, reason, ...(invalidityAt !== undefined && { invalidityAt }) },
      serial,
      otherIssuer,
    };
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

/** @param defects where it is added that a type of extension is there twice */
export function refuseTwice(extensions: readonly ReadExtension[], defects: string[]): void {
  if (new Set(extensions.map(({ oid }) => oid)).size < extensions.length)
    defects.push('it has an extension twice');
}
