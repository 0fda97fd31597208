import Type, { type Static } from 'typebox';
import type { CertificateRecord } from '../../ca/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { toDateTime } from './schemas.ts';

/** What lists say of a certificate. */
export const CertificateSummary = Type.Object({
  serial: Type.String(),
  profile: Type.String(),
  authority: Type.String(),
  holder: Type.String(),
  notBefore: Type.String({ format: 'date-time' }),
  notAfter: Type.String({ format: 'date-time' }),
  keyHash: Type.String({ description: 'SHA-256 of the SubjectPublicKeyInfo, hexadecimal.' }),
  vouchedBy: Type.String(),
});

export function toCertificateSummary(record: CertificateRecord): Static<typeof CertificateSummary> {
  return {
    serial: toHex(record.serial),
    profile: record.profile,
    authority: record.authority,
    holder: record.holder,
    notBefore: toDateTime(record.notBefore),
    notAfter: toDateTime(record.notAfter),
    keyHash: toHex(record.keyHash),
    vouchedBy: record.vouchedBy,
  };
}
