import { asBuffer } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { nameKey, rdnKeys } from './compare-names.ts';
import { encode, primitive, sequence } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { GENERAL_NAME, type GeneralName, readGeneralNames } from './general-name.ts';

/** Bits 1 to 8 of ReasonFlags (RFC 5280 §4.2.1.13): every reason there is. */
export const ALL_REASONS = 0b1_1111_1110;

export type DistributionPointName =
  | { readonly form: 'full'; readonly names: readonly GeneralName[] }
  /** Content octets of a RelativeDistinguishedName, to be put behind the CRL issuer's name. */
  | { readonly form: 'relative'; readonly rdn: Uint8Array };

export interface DistributionPoint {
  readonly name: DistributionPointName | undefined;
  /** Bit n for reason n; all of them where the field is absent. */
  readonly reasons: number;
  /** Absent where the certificate's issuer signs the CRL. */
  readonly crlIssuer: readonly GeneralName[] | undefined;
}

/** issuingDistributionPoint (RFC 5280 §5.2.5): what a CRL speaks of. */
export interface IssuingDistributionPoint {
  readonly name: DistributionPointName | undefined;
  readonly onlyContainsUserCerts: boolean;
  readonly onlyContainsCaCerts: boolean;
  readonly onlyContainsAttributeCerts: boolean;
  readonly reasons: number;
  readonly indirectCrl: boolean;
}

/** Far more than anyone has. */
const MAX_POINTS = 32;

/**
 * Reads cRLDistributionPoints or freshestCRL (RFC 5280 §4.2.1.13, §4.2.1.15).
 *
 * @throws BirthmarkError `bad-der`
 */
export function readDistributionPoints(value: Uint8Array): DistributionPoint[] {
  const what = 'cRLDistributionPoints';
  const outer = new DerReader(value);
  const list = outer.sequence(what);
  outer.finish(what);
  const points: DistributionPoint[] = [];
  do {
    if (points.length === MAX_POINTS)
      throw new BirthmarkError('bad-der', `${what} has more than ${MAX_POINTS} points`);
    const fields = list.sequence(what);
    const name = readName(fields, what);
    const reasons = readReasons(fields, 1, what);
    const issuer = fields.enterOptional(TAG.contextConstructed | 2, what);
    const crlIssuer = issuer ? readGeneralNames(issuer, what) : undefined;
    fields.finish(what);
    // RFC 5280 §4.2.1.13: a point MUST NOT consist of reasons alone.
    if (!name && !crlIssuer) throw new BirthmarkError('bad-der', `${what} has a point that names nothing`);
    points.push({ name, reasons, crlIssuer });
  } while (!list.atEnd);
  return points;
}

/**
 * Reads issuingDistributionPoint.
 *
 * @throws BirthmarkError `bad-der`, also where it says nothing or excludes everything
 */
export function readIssuingDistributionPoint(value: Uint8Array): IssuingDistributionPoint {
  const what = 'issuingDistributionPoint';
  const outer = new DerReader(value);
  const fields = outer.sequence(what);
  outer.finish(what);
  if (fields.atEnd) throw new BirthmarkError('bad-der', `${what} is empty (RFC 5280 §5.2.5)`);
  const point = {
    name: readName(fields, what),
    onlyContainsUserCerts: readFlag(fields, 1, what),
    onlyContainsCaCerts: readFlag(fields, 2, what),
    reasons: readReasons(fields, 3, what),
    indirectCrl: readFlag(fields, 4, what),
    onlyContainsAttributeCerts: readFlag(fields, 5, what),
  };
  fields.finish(what);
  const only = [point.onlyContainsUserCerts, point.onlyContainsCaCerts, point.onlyContainsAttributeCerts];
  if (only.filter(Boolean).length > 1)
    throw new BirthmarkError('bad-der', `${what} excludes all certificates (RFC 5280 §5.2.5)`);
  return point;
}

function readName(fields: DerReader, what: string): DistributionPointName | undefined {
  const tagged = fields.enterOptional(TAG.contextConstructed, what);
  if (!tagged) return undefined;
  let name: DistributionPointName;
  if (tagged.nextTag === TAG.contextConstructed) {
    name = { form: 'full', names: readGeneralNames(tagged.enter(TAG.contextConstructed, what), what) };
  } else {
    const rdn = tagged.content(TAG.contextConstructed | 1, what);
    rdnKeys(nameOfRdn(rdn));
    name = { form: 'relative', rdn };
  }
  tagged.finish(what);
  return name;
}

function readReasons(fields: DerReader, number: number, what: string): number {
  const tag = TAG.context | number;
  if (fields.nextTag !== tag) return ALL_REASONS;
  return (
    fields.namedBits(what, tag).reduce((mask, bit) => (bit <= 8 ? mask | (1 << bit) : mask), 0) & ALL_REASONS
  );
}

function readFlag(fields: DerReader, number: number, what: string): boolean {
  const tag = TAG.context | number;
  if (fields.nextTag !== tag) return false;
  const content = fields.content(tag, what);
  if (content.length === 1 && content[0] === 0xff) return true;
  throw new BirthmarkError('bad-der', `${what} has a FALSE that is the default and must be left out`);
}

/**
 * Keys of the names of a distribution point: two points are one where they share a key. Text is compared to the octet
 * (RFC 5280 §5.2.5: identical encoding), directory names as names; a relative name stands behind the CRL issuer's.
 *
 * @param crlIssuer Name of the CRL's issuer, DER
 */
export function distributionPointKeys(name: DistributionPointName, crlIssuer: Uint8Array): readonly string[] {
  if (name.form === 'full') return generalNameKeys(name.names);
  return [`d${[...rdnKeys(crlIssuer), ...rdnKeys(nameOfRdn(name.rdn))].join('')}`];
}

/** The same for GeneralNames as they stand in cRLIssuer. */
export function generalNameKeys(names: readonly GeneralName[]): readonly string[] {
  return names.map(({ kind, raw, content }) =>
    kind === GENERAL_NAME.directory ? `d${nameKey(content)}` : `r${asBuffer(raw).toString('latin1')}`,
  );
}

function nameOfRdn(rdn: Uint8Array): Uint8Array {
  return encode(sequence(primitive(TAG.set, rdn)));
}
