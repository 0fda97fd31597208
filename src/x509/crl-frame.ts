import { asBuffer, equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { findVerifyingAlgorithm, type VerifyingAlgorithm } from './algorithms.ts';
import { type ReadExtension, readExtensions, readSigned } from './certificate.ts';
import { nameKey } from './compare-names.ts';
import { refuseTwice } from './crl-entry-reader.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { type IssuingDistributionPoint, readIssuingDistributionPoint } from './distribution-point.ts';
import { EXTENSION } from './extensions.ts';
import { assertName } from './name.ts';

/** A CRL without its entries: what it speaks of, and who signed it. */
export interface CrlFrame {
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
}

/** A frame, and what is to be read of its entries. */
export interface OpenedCrl {
  readonly frame: CrlFrame;
  /** The content of revokedCertificates; undefined where nothing is listed. */
  readonly entries: Uint8Array | undefined;
  /** Why RFC 5280 forbids to use it, as far as the frame shows. */
  readonly defects: string[];
}

/**
 * Reads a CertificateList (RFC 5280 §5.1) but for its entries, see `readCrlEntries`.
 *
 * @throws BirthmarkError `bad-der`
 */
export function openCrl(der: Uint8Array): OpenedCrl {
  const { tbs, signatureAlgorithm, signature } = readSigned(der, 'certificateList');
  const outer = new DerReader(tbs);
  const fields = outer.sequence('tbsCertList');
  outer.finish('tbsCertList');
  const version = fields.nextTag === TAG.integer ? fields.smallInteger('version') + 1 : 1;
  const innerAlgorithm = fields.raw('signature', TAG.sequence);
  const issuer = fields.raw('issuer', TAG.sequence);
  assertName(issuer);
  const thisUpdate = fields.time('thisUpdate');
  const isTime = fields.nextTag === TAG.utcTime || fields.nextTag === TAG.generalizedTime;
  const nextUpdate = isTime ? fields.time('nextUpdate') : undefined;
  const entries =
    fields.nextTag === TAG.sequence ? fields.content(TAG.sequence, 'revokedCertificates') : undefined;
  const tagged = fields.enterOptional(TAG.contextConstructed, 'crlExtensions');
  const extensions = tagged ? readExtensions(tagged) : [];
  fields.finish('tbsCertList');
  const defects: string[] = [];
  const said = readCrlExtensions(extensions, defects);
  if (version !== 2) defects.push('it is not v2');
  if (!equalBytes(innerAlgorithm, signatureAlgorithm)) defects.push('it names two signature algorithms');
  if (issuer.length === 2) defects.push('its issuer is empty');
  // RFC 5280 §5.1.2.5, §5.2.3: MUST be there.
  if (nextUpdate === undefined) defects.push('it has no nextUpdate');
  if (said.number === undefined) defects.push('it has no cRLNumber');
  const frame = {
    raw: der,
    signedOctets: tbs,
    title: 'the CRL',
    algorithm: findVerifyingAlgorithm(signatureAlgorithm),
    signature,
    verifiedBy: new WeakMap<object, boolean>(),
    issuer,
    issuerKey: nameKey(issuer),
    thisUpdate,
    nextUpdate,
    ...said,
  };
  return { frame, entries, defects };
}

type Said = Pick<
  CrlFrame,
  'number' | 'baseNumber' | 'distributionPoint' | 'scope' | 'authorityKeyIdentifier'
>;

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
