import { TAG } from '../../../x509/der/tags.ts';
import { type DerFaults, report } from './der-faults.ts';
import {
  type DistributionPoints,
  type InformationAccess,
  readDistributionPoints,
  readInformationAccess,
} from './distribution.ts';
import {
  type AlternativeNames,
  type AuthorityKeyIdentifier,
  type BasicConstraints,
  type CertificatePolicies,
  type ExtensionValue,
  type KeyUsage,
  type MasaUrl,
  type OidList,
  readAlternativeNames,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCertificatePolicies,
  readExtendedKeyUsage,
  readKeyUsage,
  readMasaUrl,
  readNull,
  readSubjectKeyIdentifier,
  type SubjectKeyIdentifier,
} from './extension-values.ts';
import { dottedOf, OID } from './oids.ts';
import { readTlv, type Tlv } from './tlv.ts';

export interface ExtensionView {
  /** Dotted. */
  readonly oid: string;
  readonly critical: boolean;
}

export interface ExtensionsView {
  /** All of them, in their order. */
  readonly extensions: readonly ExtensionView[];
  /** What the list's own syntax breaks. */
  readonly extensionsFault: string | undefined;
  // The known ones, read. Of two of a type the first counts.
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined;
  readonly subjectKeyIdentifier: SubjectKeyIdentifier | undefined;
  readonly keyUsage: KeyUsage | undefined;
  readonly extendedKeyUsage: OidList | undefined;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly subjectAltName: AlternativeNames | undefined;
  readonly certificatePolicies: CertificatePolicies | undefined;
  readonly crlDistributionPoints: DistributionPoints | undefined;
  readonly authorityInfoAccess: InformationAccess | undefined;
  readonly freshestCrl: DistributionPoints | undefined;
  readonly noRevAvail: ExtensionValue | undefined;
  readonly ocspNoCheck: ExtensionValue | undefined;
  readonly masaUrl: MasaUrl | undefined;
}

type Growing = { -readonly [Member in keyof ExtensionsView]: ExtensionsView[Member] } & {
  extensions: ExtensionView[];
};

const MALFORMED =
  'extensions are not a SEQUENCE OF SEQUENCE { OBJECT IDENTIFIER, critical, OCTET STRING } with at least one element';

/** Reads what `extensions [3]` holds (RFC 5280 §4.1.2.9); nothing where it is absent. */
export function readExtensions(holder: Tlv | undefined, faults: DerFaults): ExtensionsView {
  const view: Growing = {
    extensions: [],
    extensionsFault: undefined,
    authorityKeyIdentifier: undefined,
    subjectKeyIdentifier: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    basicConstraints: undefined,
    subjectAltName: undefined,
    certificatePolicies: undefined,
    crlDistributionPoints: undefined,
    authorityInfoAccess: undefined,
    freshestCrl: undefined,
    noRevAvail: undefined,
    ocspNoCheck: undefined,
    masaUrl: undefined,
  };
  if (holder === undefined) return view;
  const list = holder.first;
  if (list?.tag !== TAG.sequence || list.next !== undefined || list.first === undefined)
    view.extensionsFault = MALFORMED;
  for (let raw = list?.first; raw !== undefined; raw = raw.next) {
    if (!readExtension(view, raw, faults)) view.extensionsFault = MALFORMED;
  }
  return view;
}

function readExtension(view: Growing, raw: Tlv, faults: DerFaults): boolean {
  const id = raw.first;
  const flag = id?.next?.tag === TAG.boolean ? id.next : undefined;
  const extnValue = flag === undefined ? id?.next : flag.next;
  if (
    raw.tag !== TAG.sequence ||
    id?.tag !== TAG.oid ||
    extnValue?.tag !== TAG.octetString ||
    extnValue.next !== undefined
  )
    return false;
  const oid = dottedOf(id);
  const critical = flag !== undefined && flag.bytes[flag.content] !== 0;
  if (flag !== undefined && !critical)
    report(faults, 'der.default', `extension ${oid} encodes critical FALSE, which is the default`);
  view.extensions.push({ oid, critical });
  readValue(view, oid, critical, extnValue, faults);
  return true;
}

/** Looks into the values of known extensions only: those of others may hold anything. */
function readValue(
  view: Growing,
  oid: string,
  critical: boolean,
  { bytes, content, end }: Tlv,
  faults: DerFaults,
): void {
  const read = () => readTlv(bytes, content, end, faults);
  switch (oid) {
    case OID.authorityKeyIdentifier:
      view.authorityKeyIdentifier ??= readAuthorityKeyIdentifier(critical, read());
      break;
    case OID.subjectKeyIdentifier:
      view.subjectKeyIdentifier ??= readSubjectKeyIdentifier(critical, read());
      break;
    case OID.keyUsage:
      view.keyUsage ??= readKeyUsage(critical, read());
      break;
    case OID.extendedKeyUsage:
      view.extendedKeyUsage ??= readExtendedKeyUsage(critical, read());
      break;
    case OID.basicConstraints:
      view.basicConstraints ??= readBasicConstraints(critical, read(), faults);
      break;
    case OID.subjectAltName:
      view.subjectAltName ??= readAlternativeNames(critical, read());
      break;
    case OID.certificatePolicies:
      view.certificatePolicies ??= readCertificatePolicies(critical, read());
      break;
    case OID.crlDistributionPoints:
      view.crlDistributionPoints ??= readDistributionPoints(critical, read());
      break;
    case OID.authorityInfoAccess:
      view.authorityInfoAccess ??= readInformationAccess(critical, read());
      break;
    case OID.freshestCrl:
      view.freshestCrl ??= readDistributionPoints(critical, read());
      break;
    case OID.noRevAvail:
      view.noRevAvail ??= readNull(critical, read());
      break;
    case OID.ocspNoCheck:
      view.ocspNoCheck ??= readNull(critical, read());
      break;
    case OID.masaUrl:
      view.masaUrl ??= readMasaUrl(critical, read());
      break;
    default:
  }
}
