import type { AuditWrites } from '../core/audit.ts';
import type { Page, PageRequest, UnitOfWork } from '../core/unit-of-work.ts';

/** What the ledger keeps of an authority. Its key is elsewhere, see `src/keys/`. */
export interface AuthorityRecord {
  /** `root`, `idevid`, `ldevid`, `service`. */
  readonly name: string;
  /** Certificate, DER. */
  readonly certificate: Uint8Array;
  /** The name of the authority that issued it (itself for a root). */
  readonly issuer: string;
  readonly createdAt: number;
}

/** A certificate before its signature: the bytes are fixed, the serial is taken. */
export interface Reservation {
  /** Serial number, the octets of the INTEGER. Unique across all authorities. */
  readonly serial: Uint8Array;
  readonly authority: string;
  /** The device it is for, or null (server, operator). */
  readonly deviceId: number | null;
  readonly profile: string;
  /** SHA-256 of the DER SubjectPublicKeyInfo. */
  readonly keyHash: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The CRL shard whose URL the certificate names. */
  readonly shard: number;
  /** tbsCertificate, DER. */
  readonly tbs: Uint8Array;
  /** Who vouched: `token:ID`, `ticket:ID`, `operator:NAME`, `certificate:SERIAL`. */
  readonly vouchedBy: string;
  /** What people call the holder: the device's serial number, the server's first name, the operator's name. */
  readonly holder: string;
  readonly reservedAt: number;
}

export interface CertificateRecord extends Reservation {
  readonly id: number;
  /** The signatureValue's octets; absent while only reserved. */
  readonly signature?: Uint8Array;
}

export interface CertificateSearch extends PageRequest {
  /** Matches a part of the holder, or the beginning of the serial in hexadecimal. */
  readonly query?: string;
  readonly profile?: string;
}

export interface CertificateReads {
  findBySerial(serial: Uint8Array): Promise<CertificateRecord | undefined>;
  /** Every certificate and reservation of these devices, oldest first. */
  findByDevices(deviceIds: readonly number[]): Promise<readonly CertificateRecord[]>;
  /** Reservations without a signature, oldest first: what a crash left. Cost grows with their number only. */
  findReserved(limit: number): Promise<readonly CertificateRecord[]>;
  /** Newest first. Signed ones only. */
  searchCertificates(search: CertificateSearch): Promise<Page<CertificateRecord>>;
  /** The latest `reservedAt`, or 0: a clock below it went back. */
  latestReservation(): Promise<number>;
}

export interface CertificateWrites extends CertificateReads {
  /** Returns the ids in order. A serial that is there already fails the whole work. */
  reserve(reservations: readonly Reservation[]): Promise<readonly number[]>;
  /**
   * Records signatures. Where another process finished the same reservation first, its signature stays.
   * Returns the signatures that the ledger holds now, in order: those are the ones to answer with.
   */
  commit(
    signed: readonly { readonly id: number; readonly signature: Uint8Array }[],
  ): Promise<readonly Uint8Array[]>;
}

/** Who a key belongs to, by the SHA-256 of its SubjectPublicKeyInfo. A key belongs to one holder, for ever. */
export interface KeyRecord {
  readonly keyHash: Uint8Array;
  readonly deviceId?: number;
  /** A holder that is no device: `authority:root`, `server:host`, `operator:anna`. */
  readonly holder?: string;
  /** Why no door takes this key any more. */
  readonly blocked?: string;
}

export interface KeyReads {
  /** In order; undefined where the key was never seen. */
  findKeys(keyHashes: readonly Uint8Array[]): Promise<readonly (KeyRecord | undefined)[]>;
}

export interface KeyWrites extends KeyReads {
  /** Records owners of keys never seen. One that is there already fails the whole work. */
  claimKeys(keys: readonly KeyRecord[]): Promise<void>;
  /** Blocks a key whether it was seen or not. */
  blockKey(keyHash: Uint8Array, reason: string, at: number): Promise<void>;
}

export interface AuthorityReads {
  listAuthorities(): Promise<readonly AuthorityRecord[]>;
}

export interface AuthorityWrites extends AuthorityReads {
  addAuthorities(authorities: readonly AuthorityRecord[]): Promise<void>;
}

/** A published CRL. `scope` is `full` or the shard's number in decimal. */
export interface CrlRecord {
  readonly authority: string;
  readonly scope: string;
  readonly number: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** DER. */
  readonly crl: Uint8Array;
}

export interface CrlReads {
  findCrl(authority: string, scope: string): Promise<CrlRecord | undefined>;
  /** Scope, number and times of each published CRL of an authority, without its bytes. */
  listCrls(authority: string): Promise<readonly Omit<CrlRecord, 'crl'>[]>;
}

export interface CrlWrites extends CrlReads {
  /** Takes the next number of a scope for good, even if no CRL follows: numbers are never used twice. */
  takeCrlNumber(authority: string, scope: string): Promise<number>;
  /** Replaces the published CRL of the scope; one with a lower number than that changes nothing. */
  publishCrl(crl: CrlRecord): Promise<void>;
}

export type CaReads = CertificateReads & KeyReads & AuthorityReads & CrlReads;
export type CaTx = CertificateWrites & KeyWrites & AuthorityWrites & CrlWrites & AuditWrites;
export type CaLedger = UnitOfWork<CaTx, CaReads>;
