import type { StatusGap } from '../x509/path/verdict.ts';
import type { CredentialId } from './credential.ts';
import type { Identity } from './decide.ts';

/** What a source knows of one certificate. */
export interface KnownStatus {
  readonly status: 'good' | 'revoked' | 'held';
  /** CRLReason, where one is said. */
  readonly reason?: string;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  /** It was so before so many milliseconds, by a clock that does not go back. */
  readonly ageMs: number;
  /** Milliseconds for which it holds yet, as its author says (nextUpdate); below 0 where that is over. Absent where nothing is said. */
  readonly leftMs?: number;
}

/** Answers from memory. Nobody waits for a network while a device waits. */
export interface StatusSource {
  readonly name: 'feed' | 'crl' | 'ocsp';
  /** Undefined where it knows nothing of what that issuer issued: unknown never reads as good. */
  statusOf(id: CredentialId): KnownStatus | undefined;
  /** Why it knows nothing of a certificate that is its business; undefined where that is not. */
  gapOf?(id: CredentialId): { readonly gap: StatusGap; readonly why: string } | undefined;
}

/** The same where a broker shows a name only: whether all that a device may come with was taken back. */
export interface NameStatusSource {
  /** Undefined where it knows nothing at all. */
  statusOf(identity: Identity): Pick<KnownStatus, 'status' | 'ageMs'> | undefined;
}
