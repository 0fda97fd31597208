import type { CredentialId } from './credential.ts';
import type { Identity } from './decide.ts';

/** What a source knows of one certificate. Times in milliseconds since the epoch. */
export interface KnownStatus {
  readonly status: 'good' | 'revoked' | 'held';
  /** CRLReason, where one is said. */
  readonly reason?: string;
  readonly since?: number;
  /** It was so then. */
  readonly asOf: number;
}

/** Answers from memory. Nobody waits for a network while a device waits. */
export interface StatusSource {
  readonly name: 'feed' | 'ocsp';
  /** Undefined where it knows nothing of what that issuer issued: unknown never reads as good. */
  statusOf(id: CredentialId): KnownStatus | undefined;
}

/** The same where a broker shows a name only: whether all that a device may come with was taken back. */
export interface NameStatusSource {
  /** Undefined where it knows nothing at all. */
  statusOf(identity: Identity): Pick<KnownStatus, 'status' | 'asOf'> | undefined;
}
