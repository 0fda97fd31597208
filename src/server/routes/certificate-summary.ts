import Type, { type Static } from 'typebox';
import type { CertificateRecord } from '../../ca/ports.ts';
import type { RevocationReads, RevocationRecord } from '../../ca/revocation/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { toDateTime } from './schemas.ts';

const DateTime = Type.String({ format: 'date-time' });

/** What lists say of a certificate. */
export const CertificateSummary = Type.Object({
  serial: Type.String(),
  profile: Type.String(),
  authority: Type.String(),
  holder: Type.String(),
  notBefore: DateTime,
  notAfter: DateTime,
  keyHash: Type.String({ description: 'SHA-256 of the SubjectPublicKeyInfo, hexadecimal.' }),
  vouchedBy: Type.String(),
  status: Type.Enum(['good', 'held', 'revoked'], { description: 'Expired ones too have one.' }),
  revocation: Type.Optional(
    Type.Object({
      revokedAt: DateTime,
      reason: Type.Optional(Type.String({ description: 'Absent: unspecified, or held.' })),
      invalidityDate: Type.Optional(DateTime),
      discoveredAt: DateTime,
      decidedAt: DateTime,
      recordedAt: DateTime,
      publishedAt: Type.Optional(DateTime),
      enforcedAt: Type.Optional(DateTime),
      by: Type.String(),
    }),
  ),
});

/** Summaries of certificates, in order. */
export async function summarize(
  reads: Pick<RevocationReads, 'findRevocations'>,
  records: readonly CertificateRecord[],
): Promise<Static<typeof CertificateSummary>[]> {
  const revocations = await reads.findRevocations(records.map(({ id }) => id));
  return records.map((record, at) => toSummary(record, revocations[at]));
}

function toSummary(
  record: CertificateRecord,
  revocation: RevocationRecord | undefined,
): Static<typeof CertificateSummary> {
  return {
    serial: toHex(record.serial),
    profile: record.profile,
    authority: record.authority,
    holder: record.holder,
    notBefore: toDateTime(record.notBefore),
    notAfter: toDateTime(record.notAfter),
    keyHash: toHex(record.keyHash),
    vouchedBy: record.vouchedBy,
    status: revocation ? (revocation.held ? 'held' : 'revoked') : 'good',
    ...(revocation && { revocation: toAnswer(revocation) }),
  };
}

function toAnswer(
  revocation: RevocationRecord,
): NonNullable<Static<typeof CertificateSummary>['revocation']> {
  const { reason, invalidityAt, publishedAt, enforcedAt } = revocation;
  return {
    revokedAt: toDateTime(revocation.revokedAt),
    ...(reason && { reason }),
    ...(invalidityAt !== undefined && { invalidityDate: toDateTime(invalidityAt) }),
    discoveredAt: toDateTime(revocation.discoveredAt),
    decidedAt: toDateTime(revocation.decidedAt),
    recordedAt: toDateTime(revocation.recordedAt),
    ...(publishedAt !== undefined && { publishedAt: toDateTime(publishedAt) }),
    ...(enforcedAt !== undefined && { enforcedAt: toDateTime(enforcedAt) }),
    by: revocation.by,
  };
}
