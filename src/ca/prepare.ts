import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { encodeTbsCertificate } from '../x509/certificate.ts';
import { type Der, encode, sequence } from '../x509/der/encode.ts';
import { NO_EXPIRY } from '../x509/der/time.ts';
import { nullValue } from '../x509/der/values.ts';
import * as extensions from '../x509/extensions.ts';
import { type Attribute, encodeAttribute } from '../x509/name.ts';
import { OCSP_EXTENSION } from '../x509/ocsp-request.ts';
import type { Authority } from './authority.ts';
import { type LintContext, lintTbsCertificate } from './lint/lint.ts';
import type { Profile } from './profile.ts';
import type { PublishedUrls } from './published-urls.ts';
import { newSerial, shardOf } from './serial.ts';

const DAY_MS = 86_400_000;
/** Devices whose clock is a little behind must not find their certificate "not yet valid". */
const BACKDATE_MS = 60_000;

/** What is known of the holder. Nothing here comes from a CSR but the key. */
export interface Holder {
  /** The device's serial number; absent for servers and operators. */
  readonly serialNumber?: string;
  /** CN, where the profile wants one. */
  readonly commonName?: string;
  readonly altNames: readonly extensions.AltName[];
  /** Whose serial numbers these are, where they are not our own: an OU beside the profile's. */
  readonly namespace?: string;
  /** The names of the certificate that is renewed, which stay to the octet; no other names count then. */
  readonly names?: CertifiedNames;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Key identifier of that key, where the profile carries one. */
  readonly keyId?: Uint8Array;
}

/** Names as a certificate has them. */
export interface CertifiedNames {
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** What subjectAltName holds, DER. */
  readonly subjectAltName?: Uint8Array;
}

/** Linted bytes that wait for their reservation and then for the signer. Made by a `Preparer` only. */
export interface PreparedCertificate {
  readonly authority: Authority;
  readonly profile: Profile;
  readonly serial: Buffer;
  readonly shard: number;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly tbs: Buffer;
}

/** Makes to-be-signed certificates of one profile; all that does not change between them is encoded once. */
export type Preparer = (holder: Holder, now: number) => PreparedCertificate;

export interface PreparerOptions {
  readonly profile: Profile;
  readonly authority: Authority;
  readonly urls: PublishedUrls;
  readonly shards: number;
  readonly random: RandomBytes;
  /** Whether the authority's own end does not bound what is made here: an OCSP signer answers for what outlives it. */
  readonly outlivesAuthority?: boolean;
}

/**
 * @returns a preparer that throws BirthmarkError `lint-failed` (nothing was reserved or signed), `name-invalid`,
 *   `authority-expired`
 */
export function createPreparer(options: PreparerOptions): Preparer {
  const { profile, authority, urls, shards, random, outlivesAuthority = false } = options;
  const issuer = authority.certificate.tbs;
  const authorityEnd = outlivesAuthority ? NO_EXPIRY : issuer.notAfter.at;
  const fixed = fixedExtensions(profile, authority, urls);
  const points = profile.crlDistributionPoint
    ? Array.from({ length: shards }, (_, shard) =>
        encode(extensions.crlDistributionPoints(urls.shard(authority.name, shard))),
      )
    : [];
  const organization = organizationAttributes(profile);
  const lintContext: LintContext = { kind: profile.kind, issuer: authority.certificate };

  return (holder, now) => {
    if (now > authorityEnd) {
      throw new BirthmarkError(
        'authority-expired',
        `the certificate of authority ${authority.name} has expired; it can issue nothing more`,
      );
    }
    const serial = newSerial(now, random);
    const shard = shardOf(serial, shards);
    const notBefore = Math.max(issuer.notBefore.at, wholeSecond(now - BACKDATE_MS));
    const notAfter = endOf(profile, wholeSecond(now), authorityEnd);
    const point = points[shard];
    const tbs = encodeTbsCertificate({
      serial,
      signatureAlgorithm: authority.signatureAlgorithm,
      issuer: issuer.subject,
      notBefore,
      notAfter,
      subject:
        holder.names?.subject ?? encode(sequence(...organization, ...holderAttributes(profile, holder))),
      spki: holder.spki,
      extensions: [
        ...fixed,
        ...(holder.keyId === undefined ? [] : [extensions.subjectKeyIdentifier(holder.keyId)]),
        ...altNames(holder),
        ...(point === undefined ? [] : [point]),
      ],
    });
    refuseLintErrors(tbs, lintContext);
    return { authority, profile, serial, shard, notBefore, notAfter, tbs };
  };
}

/** @throws BirthmarkError `lint-failed` with every broken rule */
export function refuseLintErrors(tbs: Uint8Array, context: LintContext): void {
  const errors = lintTbsCertificate(tbs, context).filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  const rules = errors.map(({ rule, detail, source }) => `${rule}: ${detail} (${source})`).join('; ');
  throw new BirthmarkError(
    'lint-failed',
    `the certificate would break ${errors.length === 1 ? 'a rule' : 'rules'}: ${rules}`,
  );
}

function fixedExtensions(profile: Profile, authority: Authority, urls: PublishedUrls): Der[] {
  const list = [extensions.authorityKeyIdentifier(authority.keyId), extensions.keyUsage(profile.keyUsage)];
  if (profile.extendedKeyUsage.length > 0) list.push(extensions.extendedKeyUsage(profile.extendedKeyUsage));
  if (profile.kind === 'ocsp-responder')
    list.push(extensions.extension(OCSP_EXTENSION.noCheck, false, nullValue()));
  if (profile.policies.length > 0) list.push(extensions.certificatePolicies(profile.policies));
  if (profile.authorityInfoAccess) {
    list.push(
      extensions.authorityInfoAccess({ caIssuers: urls.certificate(authority.name), ocsp: urls.ocsp() }),
    );
  }
  return list.map(encode);
}

function altNames({ names, altNames: known }: Holder): Der[] {
  if (names !== undefined) {
    const { subjectAltName: value } = names;
    return value === undefined
      ? []
      : [extensions.extension(extensions.EXTENSION.subjectAltName, false, value)];
  }
  return known.length === 0 ? [] : [extensions.subjectAltName(known)];
}

function organizationAttributes(profile: Profile): Uint8Array[] {
  const attributes: Attribute[] = [{ type: 'O', value: profile.organization }];
  if (profile.organizationalUnit !== undefined)
    attributes.push({ type: 'OU', value: profile.organizationalUnit });
  return attributes.map((attribute) => encode(encodeAttribute(attribute)));
}

function holderAttributes(profile: Profile, holder: Holder): Der[] {
  const attributes: Der[] = [];
  if (holder.namespace !== undefined)
    attributes.push(encodeAttribute({ type: 'OU', value: holder.namespace }));
  if (profile.commonName !== 'none' && holder.commonName !== undefined) {
    attributes.push(encodeAttribute({ type: 'CN', value: holder.commonName }));
  }
  if (holder.serialNumber !== undefined)
    attributes.push(encodeAttribute({ type: 'serialNumber', value: holder.serialNumber }));
  return attributes;
}

/** A certificate does not outlive its authority, except an IDevID, which has no end (RFC 5280 §4.1.2.5). */
function endOf(profile: Profile, from: number, authorityEnd: number): number {
  if (profile.validityDays === 'forever') return NO_EXPIRY;
  return Math.min(from + profile.validityDays * DAY_MS, authorityEnd);
}

function wholeSecond(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}
