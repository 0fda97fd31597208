import { equalBytes } from '../core/bytes.ts';
import { readCertificate } from '../x509/certificate.ts';
import type { CertificateRequest } from '../x509/csr.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';

const EMPTY_NAME_OCTETS = 2;
const names = new Map<string, string>();
for (const [name, oid] of [...Object.entries(ATTRIBUTE_OIDS), ...Object.entries(EXTENSION)])
  names.set(oid, name);

/**
 * What a CSR asked for and the certificate does not have: `subject CN=pump-7`, `extension subjectAltName`,
 * `attribute 1.2.840.113549.1.9.7`. Values of attributes are not repeated, they may be secrets.
 *
 * @param certificate DER
 */
export function notGranted(csr: CertificateRequest, certificate: Uint8Array): string[] {
  const attributes = csr.otherAttributes.map((oid) => `attribute ${oid}`);
  if (csr.subject.length <= EMPTY_NAME_OCTETS && csr.requestedExtensions.length === 0) return attributes;
  const issued = readCertificate(certificate).tbs;
  const missing: string[] = [];
  if (csr.subject.length > EMPTY_NAME_OCTETS && !equalBytes(csr.subject, issued.subject)) {
    const has = new Set(
      parseName(issued.subject).flatMap((rdn) => rdn.map(({ oid, value }) => `${oid}=${value}`)),
    );
    for (const { oid, value } of parseName(csr.subject).flat()) {
      if (!has.has(`${oid}=${value}`)) missing.push(`subject ${names.get(oid) ?? oid}=${value}`);
    }
  }
  for (const { oid, value } of csr.requestedExtensions) {
    const granted = issued.extensions.some(
      (extension) => extension.oid === oid && equalBytes(extension.value, value),
    );
    if (!granted) missing.push(`extension ${names.get(oid) ?? oid}`);
  }
  return [...missing, ...attributes];
}
