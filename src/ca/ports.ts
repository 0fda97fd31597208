import type { AuditWrites } from '../core/audit.ts';
import type { Page, PageRequest, UnitOfWork } from '../core/unit-of-work.ts';
import type { CrlReads, CrlWrites } from './crl/ports.ts';
import type { RevocationReads, RevocationWrites } from './revocation/ports.ts';

/**
 * What a generation of an authority may do. `prepared`: published, so that everybody can learn to trust it, and not issuing
 * yet. `current`: issues what profiles name by the family. `former`: issues nothing but lists and answers. `retired`: as
 * `former`, and nobody needs to know it any more.
 */
export type AuthorityState = 'prepared' | 'current' | 'former' | 'retired';

/** What the ledger keeps of an authority. Its key is elsewhere, see `src/keys/`. */
export interface AuthorityRecord {
  /** The family's name for its first generation, then `ldevid-2`. Never another one's. */
  readonly name: string;
  /** What profiles call it: `root`, `idevid`, `ldevid`, `service`. */
  readonly family: string;
  /** From 1 on. */
  readonly generation: number;
  /** One of a family is current, and one prepared at most. */
  readonly state: AuthorityState;
  /** Certificate, DER. */
  readonly certificate: Uint8Array;
  /** The name of the authority that issued it (itself for a root). */
  readonly issuer: string;
  readonly createdAt: number;
  /** When its certificate and its lists were published; milliseconds since the epoch, as the others. */
  readonly publishedAt?: number;
  readonly activatedAt?: number;
  readonly formerAt?: number;
  readonly retiredAt?: number;
}

/** A root's key, certified by another root of its family: who trusts that one only finds the way (RFC 4210 §4.4). */
export interface CrossCertificate {
  /** The root whose key it is. */
  readonly subject: string;
  readonly issuer: string;
  /** Certificate, DER. */
  readonly certificate: Uint8Array;
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

export interface CertificateScan {
  readonly of: { readonly authority: string } | { readonly batch: string };
  /** Ids up to this one were looked at. */
  readonly after: number;
  /** At most so many are found at once. */
  readonly limit: number;
}

/** A certificate or reservation without its octets, of which who looks at many has no use. */
export type CertificateFacts = Omit<CertificateRecord, 'tbs' | 'signature' | 'notBefore'>;

/** What a scan found, up to `through`; that undefined, there are no more. */
export interface ScannedCertificates {
  readonly items: readonly CertificateFacts[];
  readonly through?: number;
}

/** A certificate, by no more than what others say of it. */
export interface IssuedCertificate {
  readonly id: number;
  readonly authority: string;
  readonly deviceId: number | null;
}

export interface CertificateReads {
  findBySerial(serial: Uint8Array): Promise<CertificateRecord | undefined>;
  /** Of many at once, in order; undefined for what was never issued, or only reserved. */
  findIssued(serials: readonly Uint8Array[]): Promise<readonly (IssuedCertificate | undefined)[]>;
  /** Every certificate and reservation of these devices, oldest first. */
  findByDevices(deviceIds: readonly number[]): Promise<readonly CertificateRecord[]>;
  /** The same without their octets, which takes a quarter of the time. */
  findFactsByDevices(deviceIds: readonly number[]): Promise<readonly CertificateFacts[]>;
  /** Every certificate and reservation of this key, oldest first. */
  findByKey(keyHash: Uint8Array): Promise<readonly CertificateRecord[]>;
  /** Goes through the certificates and reservations of an authority, or of a batch of devices, oldest first. */
  scanCertificates(scan: CertificateScan): Promise<ScannedCertificates>;
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
  /**
   * Goes through the blocked keys in their order, from behind `after` on, `limit` at a time; found are those that no
   * certificate tells: none that was revoked for keyCompromise and did not end before `endedBefore` is for them.
   */
  scanBlockedKeys(search: {
    readonly endedBefore: number;
    readonly after?: Uint8Array;
    readonly limit: number;
  }): Promise<ScannedKeys>;
}

/** What a scan found, up to `through`; that undefined, there are no more. */
export interface ScannedKeys {
  readonly items: readonly Uint8Array[];
  readonly through?: Uint8Array;
}

export interface KeyWrites extends KeyReads {
  /** Records owners of keys never seen. One that is there already fails the whole work. */
  claimKeys(keys: readonly KeyRecord[]): Promise<void>;
  /** Blocks a key whether it was seen or not. */
  blockKey(keyHash: Uint8Array, reason: string, at: number): Promise<void>;
}

export interface AuthorityReads {
  /** In the order in which they came. */
  listAuthorities(): Promise<readonly AuthorityRecord[]>;
  listCrossCertificates(): Promise<readonly CrossCertificate[]>;
  /**
   * What an authority issued that has not ended by `now` and was not taken back for good. Its OCSP signers and what it
   * certified across do not count.
   *
   * @param after the row of its own certificate: it issued nothing before
   */
  countStanding(authority: string, now: number, after: number): Promise<StandingCertificates>;
}

/** What still stands under an authority. */
export interface StandingCertificates {
  readonly certificates: number;
  /** The latest end of them, in milliseconds since the epoch. */
  readonly until?: number;
}

export interface AuthorityWrites extends AuthorityReads {
  /** A name or a generation that is there already fails the whole work. Where there were others, a new status epoch begins. */
  addAuthorities(authorities: readonly AuthorityRecord[]): Promise<void>;
  addCrossCertificates(certificates: readonly CrossCertificate[]): Promise<void>;
  /** Moves a generation, and notes when. A second current or prepared one of a family fails the whole work. */
  moveAuthority(name: string, state: Exclude<AuthorityState, 'prepared'>, at: number): Promise<void>;
  /** Notes when it was published, the first time. */
  notePublishedAuthority(name: string, at: number): Promise<void>;
}

export type CaReads = CertificateReads & KeyReads & AuthorityReads & CrlReads & RevocationReads;
export type CaTx = CertificateWrites &
  KeyWrites &
  AuthorityWrites &
  CrlWrites &
  RevocationWrites &
  AuditWrites;
export type CaLedger = UnitOfWork<CaTx, CaReads>;
