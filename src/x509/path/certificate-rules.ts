import { BirthmarkError } from '../../core/errors.ts';
import type { ReadExtension, TbsCertificate } from '../certificate.ts';
import { DerReader } from '../der/reader.ts';
import { TAG } from '../der/tags.ts';
import { type DistributionPoint, readDistributionPoints } from '../distribution-point.ts';
import { EXTENSION, KEY_USAGE } from '../extensions.ts';
import { type GeneralName, readGeneralNames } from '../general-name.ts';
import { type NameConstraints, readNameConstraints } from './read-name-constraints.ts';
import {
  type CertificatePolicies,
  readPolicies,
  readPolicyConstraints,
  readPolicyMappings,
} from './read-policies.ts';

/** What a certificate's extensions say to one who validates a path (RFC 5280 §4.2), read and found to be of their form. */
export interface CertificateRules {
  /** cA of basicConstraints. */
  readonly ca: boolean;
  readonly pathLength: number | undefined;
  /** Bits by their numbers; absent: every usage. */
  readonly keyUsage: readonly number[] | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Purposes again, as Microsoft's authorities write them (szOID_APPLICATION_CERT_POLICIES). */
  readonly applicationPolicies: readonly string[] | undefined;
  readonly subjectAltName: readonly GeneralName[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly policies: CertificatePolicies | undefined;
  /** Pairs of issuerDomainPolicy and subjectDomainPolicy. */
  readonly policyMappings: readonly (readonly [string, string])[];
  readonly requireExplicitPolicy: number | undefined;
  readonly inhibitPolicyMapping: number | undefined;
  readonly inhibitAnyPolicy: number | undefined;
  readonly crlDistributionPoints: readonly DistributionPoint[];
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  /** noRevAvail, in a certificate that names no place where a status could be had (RFC 9608 §2). */
  readonly noRevAvail: boolean;
}

const APPLICATION_POLICIES = '1.3.6.1.4.1.311.21.10';
const SUBJECT_INFO_ACCESS = '1.3.6.1.5.5.7.1.11';
const OCSP = '1.3.6.1.5.5.7.48.1';
const MAX_EXTENSIONS = 64;
const MAX_PURPOSES = 64;

/** RFC 5280 §4.2.1.1, §4.2.1.2, §4.2.1.15, §4.2.2.1, §4.2.2.2 and RFC 9608 §2: MUST be non-critical. */
const NEVER_CRITICAL: ReadonlySet<string> = new Set([
  EXTENSION.authorityKeyIdentifier,
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.freshestCrl,
  EXTENSION.authorityInfoAccess,
  SUBJECT_INFO_ACCESS,
  EXTENSION.noRevAvail,
]);
type Draft = { -readonly [Field in keyof CertificateRules]: CertificateRules[Field] };

/**
 * Reads the extensions of a certificate whose extensions are known to be of different types.
 *
 * @throws BirthmarkError `bad-der`, and `bad-certificate` for a critical extension that is not known and for what
 * RFC 5280 §4.2 forbids a certificate to say
 */
export function readCertificateRules(tbs: TbsCertificate): CertificateRules {
  if (tbs.extensions.length > MAX_EXTENSIONS) throw refusal(`has more than ${MAX_EXTENSIONS} extensions`);
  const rules: Draft = {
    ca: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    applicationPolicies: undefined,
    subjectAltName: undefined,
    nameConstraints: undefined,
    policies: undefined,
    policyMappings: [],
    requireExplicitPolicy: undefined,
    inhibitPolicyMapping: undefined,
    inhibitAnyPolicy: undefined,
    crlDistributionPoints: [],
    subjectKeyIdentifier: undefined,
    authorityKeyIdentifier: undefined,
    noRevAvail: false,
  };
  let statusElsewhere = false;
  for (const extension of tbs.extensions) {
    const { oid, critical, value } = extension;
    if (critical && NEVER_CRITICAL.has(oid))
      throw refusal(`has extension ${oid} critical, which it must not be`);
    if (oid === EXTENSION.authorityInfoAccess) statusElsewhere ||= readAccess(value, oid).includes(OCSP);
    else {
      if (oid === EXTENSION.crlDistributionPoints || oid === EXTENSION.freshestCrl) statusElsewhere = true;
      readInto(rules, extension);
    }
  }
  // RFC 9608 §2 forbids the two together and noRevAvail in a CA; where they are, the status is looked for.
  if (statusElsewhere || rules.ca) rules.noRevAvail = false;
  checkTogether(tbs, rules);
  return rules;
}

function readInto(rules: Draft, { oid, critical, value }: ReadExtension): void {
  const reader = new DerReader(value);
  switch (oid) {
    case EXTENSION.basicConstraints: {
      const fields = reader.sequence('basicConstraints');
      if (fields.nextTag === TAG.boolean) {
        rules.ca = fields.boolean('cA');
        if (!rules.ca) throw refusal('has cA FALSE, which is the default and must be left out');
      }
      if (!fields.atEnd) rules.pathLength = fields.smallInteger('pathLenConstraint');
      fields.finish('basicConstraints');
      break;
    }
    case EXTENSION.keyUsage:
      rules.keyUsage = reader.namedBits('keyUsage');
      break;
    case EXTENSION.extendedKeyUsage:
      rules.extendedKeyUsage = readOids(reader, 'extKeyUsage');
      break;
    case APPLICATION_POLICIES:
      rules.applicationPolicies = readPolicies(reader, 'application policies').policies;
      break;
    case EXTENSION.subjectAltName:
    case EXTENSION.issuerAltName: {
      const names = readGeneralNames(reader.sequence('alternative name'), 'alternative name');
      if (oid === EXTENSION.subjectAltName) rules.subjectAltName = names;
      break;
    }
    case EXTENSION.nameConstraints:
      rules.nameConstraints = readNameConstraints(reader);
      break;
    case EXTENSION.certificatePolicies:
      rules.policies = readPolicies(reader, 'certificatePolicies');
      // RFC 5280 §4.2.1.4: critical means that the qualifiers are understood too.
      if (critical && rules.policies.hasUnknownQualifier)
        throw refusal('has a policy qualifier that is not known in a critical extension');
      break;
    case EXTENSION.policyMappings:
      rules.policyMappings = readPolicyMappings(reader);
      break;
    case EXTENSION.policyConstraints: {
      const { requireExplicitPolicy, inhibitPolicyMapping } = readPolicyConstraints(reader);
      rules.requireExplicitPolicy = requireExplicitPolicy;
      rules.inhibitPolicyMapping = inhibitPolicyMapping;
      break;
    }
    case EXTENSION.inhibitAnyPolicy:
      rules.inhibitAnyPolicy = reader.smallInteger('inhibitAnyPolicy');
      break;
    case EXTENSION.crlDistributionPoints:
      rules.crlDistributionPoints = readDistributionPoints(value);
      return;
    case EXTENSION.freshestCrl:
      readDistributionPoints(value);
      return;
    case EXTENSION.subjectKeyIdentifier:
      rules.subjectKeyIdentifier = reader.octetString('subjectKeyIdentifier');
      break;
    case EXTENSION.authorityKeyIdentifier:
      rules.authorityKeyIdentifier = readAuthorityKeyIdentifier(reader);
      break;
    case EXTENSION.noRevAvail:
      reader.null('noRevAvail');
      rules.noRevAvail = true;
      break;
    case SUBJECT_INFO_ACCESS:
      readAccess(value, oid);
      return;
    default:
      // RFC 5280 §4.2: what is critical is processed, or the certificate is refused.
      if (critical) throw refusal(`has a critical extension that is not known: ${oid}`);
      return;
  }
  reader.finish('extension');
}

/** What RFC 5280 says of fields that stand together. */
function checkTogether(tbs: TbsCertificate, rules: CertificateRules): void {
  const { ca, pathLength, keyUsage, subjectAltName } = rules;
  if (!ca && pathLength !== undefined) throw refusal('has pathLenConstraint without cA (RFC 5280 §4.2.1.9)');
  if (!ca && keyUsage?.includes(KEY_USAGE.keyCertSign))
    throw refusal('has keyCertSign without cA (RFC 5280 §4.2.1.9)');
  if (!ca && rules.nameConstraints) throw refusal('has nameConstraints without cA (RFC 5280 §4.2.1.10)');
  if (isEmptyName(tbs.issuer)) throw refusal('has an empty issuer (RFC 5280 §4.1.2.4)');
  const { serial } = tbs;
  // RFC 5280 §4.1.2.2 has users cope with negative numbers. Zero is the number of no certificate.
  if (serial.length > 20 || (serial.length === 1 && serial[0] === 0))
    throw refusal('has serial number zero, or one of more than 20 octets (RFC 5280 §4.1.2.2)');
  if (!isEmptyName(tbs.subject)) return;
  if (ca) throw refusal('has an empty subject and is a CA (RFC 5280 §4.1.2.6)');
  const critical = tbs.extensions.some(({ oid, critical: is }) => oid === EXTENSION.subjectAltName && is);
  if (!subjectAltName || !critical)
    throw refusal('has an empty subject and no critical subjectAltName (RFC 5280 §4.2.1.6)');
}

function isEmptyName(name: Uint8Array): boolean {
  return name.length === 2;
}

function readOids(reader: DerReader, what: string): readonly string[] {
  const list = reader.sequence(what);
  const oids: string[] = [];
  do {
    if (oids.length === MAX_PURPOSES) throw refusal(`has more than ${MAX_PURPOSES} purposes`);
    oids.push(list.oid(what));
  } while (!list.atEnd);
  return oids;
}

/** @returns keyIdentifier, where it is there */
function readAuthorityKeyIdentifier(reader: DerReader): Uint8Array | undefined {
  const what = 'authorityKeyIdentifier';
  const fields = reader.sequence(what);
  const keyId = fields.nextTag === TAG.context ? fields.content(TAG.context, what) : undefined;
  const issuer = fields.enterOptional(TAG.contextConstructed | 1, what);
  if (issuer) readGeneralNames(issuer, what);
  if (fields.nextTag === (TAG.context | 2)) fields.content(TAG.context | 2, what);
  fields.finish(what);
  return keyId;
}

/** @returns the access methods of authorityInfoAccess or subjectInfoAccess (RFC 5280 §4.2.2) */
function readAccess(value: Uint8Array, what: string): string[] {
  const outer = new DerReader(value);
  const list = outer.sequence(what);
  outer.finish(what);
  const methods: string[] = [];
  do {
    const fields = list.sequence(what);
    methods.push(fields.oid(what));
    readGeneralNames(fields, what);
    fields.finish(what);
  } while (!list.atEnd);
  return methods;
}

function refusal(what: string): BirthmarkError {
  return new BirthmarkError('bad-certificate', `the certificate ${what}`);
}
