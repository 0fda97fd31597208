import type { Actor, AuditRecord } from '../core/audit.ts';
import type { BirthmarkError } from '../core/errors.ts';
import type { EnrollmentRequest } from './enroller.ts';

type Asked = Omit<EnrollmentRequest, 'csr'>;

/** The record of a request that was refused. */
export function refusedRequest(
  { device, profile, facts }: Asked,
  actor: Actor,
  { code }: BirthmarkError,
  at: number,
): AuditRecord {
  return {
    at,
    actor,
    action: 'certificate.issue',
    subject: `device:${device.namespace}/${device.serialNumber}`,
    outcome: `refused:${code}`,
    facts: { ...facts, profile: profile.name },
  };
}

/** One record for all requests of an admission that stands no more: a token that was revoked must not fill the ledger. */
export function refusedAct(
  first: Asked,
  requests: number,
  actor: Actor,
  error: BirthmarkError,
  at: number,
): AuditRecord {
  const record = refusedRequest(first, actor, error, at);
  return { ...record, facts: { ...record.facts, requests } };
}
