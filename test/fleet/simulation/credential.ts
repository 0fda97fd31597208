import { equalBytes, toHex } from '../../../src/core/bytes.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import type { SampleKey } from '../../x509/samples.ts';

export interface Credential {
  readonly key: SampleKey;
  readonly certificate: Buffer;
  /** Of the certificate, DER. */
  readonly subject: Uint8Array;
  /** Its issuer's name, DER in hexadecimal. */
  readonly issuer: string;
  /** Hexadecimal. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export function toCredential(certificate: Buffer, key: SampleKey): Credential {
  const { tbs } = parseCertificate(certificate);
  if (!equalBytes(tbs.spki, key.spki)) throw new Error('a certificate came for another key');
  return {
    key,
    certificate,
    subject: tbs.subject,
    issuer: toHex(tbs.issuer),
    serial: toHex(tbs.serial),
    notBefore: tbs.notBefore.at,
    notAfter: tbs.notAfter.at,
  };
}
