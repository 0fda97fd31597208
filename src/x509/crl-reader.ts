import { asBuffer } from '../core/bytes.ts';
import { type CrlEntry, readCrlEntries } from './crl-entry-reader.ts';
import { type CrlFrame, openCrl } from './crl-frame.ts';

export type { CrlEntry } from './crl-entry-reader.ts';

/** An entry with what it is of. */
export interface ListedCertificate extends CrlEntry {
  /** Content octets of the serialNumber, hexadecimal. */
  readonly serial: string;
}

/** A CRL as read: strict DER, every entry looked at. */
export interface Crl extends CrlFrame {
  /** Why RFC 5280 forbids to use it, if it does. */
  readonly unusable: string | undefined;
  /** Number of entries. */
  readonly size: number;
  /**
   * The entry for a certificate.
   *
   * @param issuerKey `nameKey` of the certificate's issuer
   * @param serial content octets of the certificate's serialNumber
   */
  readonly find: (issuerKey: string, serial: Uint8Array) => CrlEntry | undefined;
  /** All entries, in their order; of an indirect list also those of other issuers. */
  readonly list: () => Iterable<ListedCertificate>;
}

/**
 * Reads a CertificateList (RFC 5280 §5.1). What is well formed and must not be used all the same has `unusable`.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readCrl(der: Uint8Array): Crl {
  const { frame, entries: content, defects } = openCrl(der);
  const { issuerKey } = frame;
  /** By serial number; those of an indirect list under another issuer's name have it in front. */
  const entries = new Map<string, CrlEntry>();
  let others = false;
  for (const { entry, serial, otherIssuer } of content ? readCrlEntries(content, issuerKey, defects) : []) {
    const key = entryKey(otherIssuer, serial);
    if (entries.has(key)) defects.push('it lists a certificate twice');
    others ||= otherIssuer !== '';
    entries.set(key, entry);
  }
  if (others && frame.distributionPoint?.indirectCrl !== true)
    defects.push('it is indirect and does not say so');
  return {
    ...frame,
    unusable: defects[0],
    size: entries.size,
    find: (issuerOfCertificate, serial) =>
      entries.get(entryKey(issuerOfCertificate === issuerKey ? '' : issuerOfCertificate, serial)),
    *list() {
      for (const [key, entry] of entries) yield { serial: key.slice(key.indexOf('\n') + 1), ...entry };
    },
  };
}

function entryKey(otherIssuer: string, serial: Uint8Array): string {
  const number = asBuffer(serial).toString('hex');
  return otherIssuer === '' ? number : `${otherIssuer}\n${number}`;
}
