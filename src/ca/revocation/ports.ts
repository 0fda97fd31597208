import type { CrlReasonName } from '../../x509/crl-reason.ts';

/** CRLReason of RFC 5280 §5.3.1, without unspecified (never on the wire), removeFromCRL and the unused 7. */
export const REVOCATION_REASONS = [
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
  'aACompromise',
] as const satisfies readonly CrlReasonName[];
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

/** That a certificate was taken back, or is held. Times in milliseconds since the epoch. */
export interface RevocationRecord {
  /** The certificate's row. */
  readonly id: number;
  readonly serial: Uint8Array;
  readonly authority: string;
  readonly shard: number;
  /** The certificate's end: its entry may leave lists after it. */
  readonly notAfter: number;
  /** Undefined: unspecified, or held. */
  readonly reason?: RevocationReason;
  readonly held: boolean;
  /** From when on it is bad: what CRLs and OCSP call revocationDate. Stays the day of the hold where a hold became final. */
  readonly revokedAt: number;
  /** Since when the key may have been in other hands (RFC 5280 §5.3.2). */
  readonly invalidityAt?: number;
  /** When somebody noticed, when it was decided, when this row was written. */
  readonly discoveredAt: number;
  readonly decidedAt: number;
  readonly recordedAt: number;
  /** When a list with it was published first; when a broker enforced it first. */
  readonly publishedAt?: number;
  readonly enforcedAt?: number;
  /** Actor. */
  readonly by: string;
}

export interface TakenBack extends RevocationRecord {
  readonly keyHash: Uint8Array;
}

/** The device that a certificate is for. */
export interface CertificateHolder {
  readonly namespace: string;
  readonly serialNumber: string;
  /** Whether it has another certificate of the same authority that is good at that time. */
  readonly others: boolean;
}

/** One change of one certificate's status. Every change there ever was, in order, none twice. */
export interface StatusChange {
  /** From 1 on, without gaps in what has been committed. */
  readonly sequence: number;
  readonly serial: Uint8Array;
  readonly authority: string;
  readonly shard: number;
  readonly keyHash: Uint8Array;
  readonly status: 'revoked' | 'held' | 'good';
  readonly reason?: RevocationReason;
  readonly at: number;
}

/** What the ledger says of a serial of one authority. */
export type CertificateStatus =
  | { readonly status: 'good' }
  | { readonly status: 'revoked'; readonly revocation: RevocationRecord }
  /** Never issued by that authority: only reserved counts as never issued too. */
  | { readonly status: 'unknown' };

export interface RevocationReads {
  /** In order. */
  findStatuses(authority: string, serials: readonly Uint8Array[]): Promise<readonly CertificateStatus[]>;
  /** In order; undefined where the certificate stands. */
  findRevocations(ids: readonly number[]): Promise<readonly (RevocationRecord | undefined)[]>;
  /** Those of all authorities, with the keys that the certificates are for. */
  listTakenBack(search: {
    readonly endedBefore: number;
    readonly after?: number;
    readonly limit: number;
  }): Promise<readonly TakenBack[]>;
  /** The devices that certificates are for, in order; undefined where it is for none. */
  findHolders(
    serials: readonly Uint8Array[],
    at: number,
  ): Promise<readonly (CertificateHolder | undefined)[]>;
  /** Changes behind that sequence number, oldest first. */
  listStatusChanges(after: number, limit: number): Promise<readonly StatusChange[]>;
  /** The last sequence number, 0 before the first change. */
  lastStatusChange(): Promise<number>;
  /**
   * What the sequence numbers count in: 32 hexadecimal digits. Another one after a restore: who followed the changes
   * before starts afresh.
   */
  statusEpoch(): Promise<string>;
}

export interface RevocationWrites extends RevocationReads {
  /**
   * Adds revocations or replaces those of the same certificates, and appends a change for each. Serial, authority, shard and
   * end are the certificate's own. Returns the last sequence.
   */
  putRevocations(revocations: readonly RevocationRecord[]): Promise<number>;
  /** Takes holds back, and appends a change for each. What is not held fails the whole work. */
  releaseHolds(ids: readonly number[], at: number): Promise<number>;
  /** Notes the first time for each that has none. */
  notePublished(ids: readonly number[], at: number): Promise<void>;
  /** Notes when a broker enforced it, the first time for each; never before it was recorded. Returns the ids of those. */
  noteEnforced(enforced: readonly { readonly id: number; readonly at: number }[]): Promise<readonly number[]>;
}
