import { equalBytes, toHex } from '../core/bytes.ts';
import { findExtension, type TbsCertificate } from './certificate.ts';
import { nameKey, sameName } from './compare-names.ts';
import type { CertificateRequest } from './csr.ts';
import { EXTENSION } from './extensions.ts';
import { GENERAL_NAME, type GeneralName, parseGeneralNames } from './general-name.ts';

/** What of an identity is not the same; `san-missing` where the certificate has a SAN and the CSR has none. */
export type IdentityDifference = 'subject-differs' | 'san-missing' | 'san-differs';

/**
 * Whether a CSR asks for the names of a certificate that it is to renew (RFC 7030 §4.2.2). Names are compared as RFC 5280
 * §7.1 does, since clients encode strings anew; SANs as sets, in which all but the strings of a directoryName must be the
 * same octets. Criticality is not looked at: it is no part of a name.
 *
 * @returns what differs, in the order subject, SAN; empty where the identity is the same
 * @throws BirthmarkError `bad-der` where a SAN cannot be read
 */
export function compareIdentity(
  csr: CertificateRequest,
  certificate: TbsCertificate,
): readonly IdentityDifference[] {
  const differences: IdentityDifference[] = [];
  if (!sameName(csr.subject, certificate.subject)) differences.push('subject-differs');
  const has = findExtension(certificate, EXTENSION.subjectAltName)?.value;
  const asked = csr.requestedExtensions.find(({ oid }) => oid === EXTENSION.subjectAltName)?.value;
  if (has && !asked) differences.push('san-missing');
  else if (asked && !(has && sameAltNames(asked, has))) differences.push('san-differs');
  return differences;
}

/** Whether two GeneralNames, DER, hold the same names in whatever order. */
function sameAltNames(a: Uint8Array, b: Uint8Array): boolean {
  // A SAN that cannot be read is told as that, even where it is the same one.
  const names = keysOf(parseGeneralNames(a));
  if (equalBytes(a, b)) return true;
  const others = keysOf(parseGeneralNames(b));
  return names.size === others.size && [...names].every((key) => others.has(key));
}

function keysOf(names: readonly GeneralName[]): ReadonlySet<string> {
  return new Set(
    names.map((name) =>
      name.kind === GENERAL_NAME.directory ? `name ${nameKey(name.content)}` : `octets ${toHex(name.raw)}`,
    ),
  );
}
