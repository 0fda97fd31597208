import { equalBytes } from '../core/bytes.ts';
import { readCertificate } from '../x509/certificate.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { ATTRIBUTE_OIDS, escapeValue, parseName } from '../x509/name.ts';
import { readSubject } from '../x509/read-subject.ts';
import type { ReadCsr } from './examine.ts';

const names = new Map<string, string>();
for (const [name, oid] of [...Object.entries(ATTRIBUTE_OIDS), ...Object.entries(EXTENSION)])
  names.set(oid, name);

/**
 * What a CSR asked for and the certificate does not have: `subject CN=pump-7`, `extension subjectAltName`,
 * `attribute 1.2.840.113549.1.9.7`. Values of attributes are not repeated, they may be secrets.
 *
 * @param certificate DER
 */
export function notGranted({ csr, asked }: ReadCsr, certificate: Uint8Array): readonly string[] {
  const attributes = csr.otherAttributes.map((oid) => `attribute ${oid}`);
  if (asked.length === 0 && csr.requestedExtensions.length === 0) return attributes;
  const missing: string[] = [];
  const has = parseName(readSubject(certificate));
  for (const { oid, value } of asked) {
    if (has.some((rdn) => rdn.some((attribute) => attribute.oid === oid && attribute.value === value)))
      continue;
    missing.push(`subject ${names.get(oid) ?? oid}=${escapeValue(value)}`);
  }
  if (csr.requestedExtensions.length > 0) {
    const issued = readCertificate(certificate).tbs.extensions;
    for (const { oid, value } of csr.requestedExtensions) {
      const granted = issued.some((extension) => extension.oid === oid && equalBytes(extension.value, value));
      if (!granted) missing.push(`extension ${names.get(oid) ?? oid}`);
    }
  }
  return [...missing, ...attributes];
}
