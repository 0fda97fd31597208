import { type Der, encode, explicit, primitive, sequence } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { boolean, ia5String, integer, namedBits, octetString, oid } from './der/values.ts';

/** Object identifiers of certificate and CRL extensions (RFC 5280 §4.2, §5.2). */
export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  inhibitAnyPolicy: '2.5.29.54',
  noRevAvail: '2.5.29.56',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
} as const;

/** Bit numbers of KeyUsage (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
  encipherOnly: 7,
  decipherOnly: 8,
} as const;

export type KeyUsageName = keyof typeof KEY_USAGE;

export const EXTENDED_KEY_USAGE = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  any: '2.5.29.37.0',
} as const;

/** hardwareModuleName otherName (RFC 4108 §5). */
export const HARDWARE_MODULE_NAME = '1.3.6.1.5.5.7.8.4';
const CA_ISSUERS = '1.3.6.1.5.5.7.48.2';
const OCSP = '1.3.6.1.5.5.7.48.1';

/** Extension of RFC 5280 §4.1; critical FALSE is the default and left out. */
export function extension(id: string, critical: boolean, value: Der): Der {
  const extnValue = octetString(encode(value));
  return critical ? sequence(oid(id), boolean(true), extnValue) : sequence(oid(id), extnValue);
}

export function authorityKeyIdentifier(keyId: Uint8Array): Der {
  return extension(EXTENSION.authorityKeyIdentifier, false, sequence(primitive(TAG.context, keyId)));
}

export function subjectKeyIdentifier(keyId: Uint8Array): Der {
  return extension(EXTENSION.subjectKeyIdentifier, false, octetString(keyId));
}

export function keyUsage(usages: readonly KeyUsageName[]): Der {
  return extension(EXTENSION.keyUsage, true, namedBits(usages.map((usage) => KEY_USAGE[usage])));
}

export function extendedKeyUsage(purposes: readonly string[]): Der {
  return extension(EXTENSION.extendedKeyUsage, false, sequence(...purposes.map(oid)));
}

/** basicConstraints of a CA; end entities carry none (RFC 5280 §4.2.1.9). */
export function caConstraints(pathLength: number): Der {
  return extension(EXTENSION.basicConstraints, true, sequence(boolean(true), integer(pathLength)));
}

export function certificatePolicies(policies: readonly string[]): Der {
  return extension(
    EXTENSION.certificatePolicies,
    false,
    sequence(...policies.map((policy) => sequence(oid(policy)))),
  );
}

export interface AccessLocations {
  readonly caIssuers?: string;
  readonly ocsp?: string;
}

export function authorityInfoAccess({ caIssuers, ocsp }: AccessLocations): Der {
  const descriptions: Der[] = [];
  if (ocsp !== undefined) descriptions.push(sequence(oid(OCSP), uri(ocsp)));
  if (caIssuers !== undefined) descriptions.push(sequence(oid(CA_ISSUERS), uri(caIssuers)));
  return extension(EXTENSION.authorityInfoAccess, false, sequence(...descriptions));
}

/** One distribution point with one URL. */
export function crlDistributionPoints(url: string): Der {
  return extension(EXTENSION.crlDistributionPoints, false, sequence(sequence(distributionPointName(url))));
}

/** What a list is of: certificates that name its URL, those of end entities, or both. It must say one of them. */
export interface ListScope {
  /** As in the certificates, to the octet (RFC 5280 §5.2.5). */
  readonly url?: string;
  readonly onlyUserCerts?: true;
}

/** Critical (RFC 5280 §5.2.5). */
export function issuingDistributionPoint({ url, onlyUserCerts }: ListScope): Der {
  const name = url === undefined ? [] : [distributionPointName(url)];
  const flag = onlyUserCerts ? [primitive(TAG.context | 1, Uint8Array.of(0xff))] : [];
  return extension(EXTENSION.issuingDistributionPoint, true, sequence(...name, ...flag));
}

export function crlNumber(number: number): Der {
  return extension(EXTENSION.crlNumber, false, integer(number));
}

/** Critical: who does not know it would take a delta for a whole list (RFC 5280 §5.2.4). */
export function deltaCrlIndicator(baseNumber: number): Der {
  return extension(EXTENSION.deltaCrlIndicator, true, integer(baseNumber));
}

/** Where the delta of a full list is; never in a delta (RFC 5280 §5.2.6). */
export function freshestCrl(url: string): Der {
  return extension(EXTENSION.freshestCrl, false, sequence(sequence(distributionPointName(url))));
}

/** `distributionPoint [0]` holding `fullName [0]`. */
function distributionPointName(url: string): Der {
  return explicit(0, explicit(0, uri(url)));
}

/** GeneralName uniformResourceIdentifier [6]. */
function uri(url: string): Der {
  return ia5String(url, TAG.context | 6);
}

export type AltName =
  | { readonly kind: 'dns'; readonly name: string }
  | { readonly kind: 'ip'; readonly address: Uint8Array }
  | { readonly kind: 'hardwareModule'; readonly hwType: string; readonly hwSerialNum: Uint8Array };

/** Critical where the subject is empty, which ours never is (RFC 5280 §4.2.1.6). */
export function subjectAltName(names: readonly AltName[]): Der {
  return extension(EXTENSION.subjectAltName, false, sequence(...names.map(generalName)));
}

function generalName(name: AltName): Der {
  switch (name.kind) {
    case 'dns':
      return ia5String(name.name, TAG.context | 2);
    case 'ip':
      return primitive(TAG.context | 7, name.address);
    case 'hardwareModule': {
      // otherName is [0] IMPLICIT over { type-id, value [0] EXPLICIT }, so its header takes the SEQUENCE's place.
      const module = sequence(oid(name.hwType), octetString(name.hwSerialNum));
      const other = sequence(oid(HARDWARE_MODULE_NAME), explicit(0, module));
      return { ...other, tag: TAG.contextConstructed };
    }
  }
}
