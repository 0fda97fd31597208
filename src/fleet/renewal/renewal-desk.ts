import type { Authorities, Authority } from '../../ca/authority.ts';
import type { CertificateReads } from '../../ca/ports.ts';
import { equalBytes } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type Renewal, type RenewalRoom, readRenewals } from './read-renewal.ts';
import { parseRenewalId, renewalId } from './renewal-id.ts';
import { windowOf } from './window.ts';

/** Tells when certificates are to be renewed. */
export interface RenewalDesk extends RenewalRoom {
  readonly reads: RenewalRoom['reads'] & Pick<CertificateReads, 'findBySerial'>;
  readonly authorities: Authorities;
  readonly retryAfterMs: number;
}

export interface ToldRenewal extends Renewal {
  readonly id: string;
}

/**
 * What `renewal-info` says of an id.
 *
 * @throws BirthmarkError `bad-request`, `not-found`
 */
export async function tellRenewal(desk: RenewalDesk, text: string): Promise<ToldRenewal> {
  const { issuerKeyId, serial } = parseRenewalId(text);
  const record = await desk.reads.findBySerial(serial);
  const authority = record?.signature && desk.authorities.get(record.authority);
  const isOurs = authority && equalBytes(authority.keyId, issuerKeyId);
  const [renewal] = record && isOurs ? await readRenewals(desk, [record]) : [];
  if (!renewal) throw new BirthmarkError('not-found', 'no certificate here that is renewed has this id');
  return { id: text, ...renewal };
}

/** A certificate that was issued just now, of which the ledger knows nothing else yet. */
export interface NewCertificate {
  readonly authority: Authority;
  readonly profile: string;
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The same of a certificate that is known by its serial; undefined where it is never renewed. */
export async function renewalOf(desk: RenewalDesk, serial: Uint8Array): Promise<ToldRenewal | undefined> {
  const record = await desk.reads.findBySerial(serial);
  const authority = record && desk.authorities.get(record.authority);
  const [renewal] = record ? await readRenewals(desk, [record]) : [];
  return renewal && authority && { id: renewalId({ issuerKeyId: authority.keyId, serial }), ...renewal };
}

/** The same of one that was issued just now, without asking the ledger; undefined where it is never renewed. */
export function renewalOfNew(desk: RenewalDesk, certificate: NewCertificate): ToldRenewal | undefined {
  const { authority, profile, serial } = certificate;
  if (desk.idevidProfiles.has(profile)) return undefined;
  const id = renewalId({ issuerKeyId: authority.keyId, serial });
  return { id, window: windowOf(certificate, desk.policy.window), cause: 'schedule' };
}
