import type { AuditReads } from '../core/audit.ts';
import type { Page, PageRequest, UnitOfWork } from '../core/unit-of-work.ts';
import type { CampaignReads, CampaignWrites } from '../fleet/campaign/ports.ts';
import type { HygieneReads, HygieneWrites } from '../fleet/hygiene/ports.ts';
import type { FleetReads, FleetTx } from '../fleet/ports.ts';

/** `gate`: follows the status feed beside a broker, and may do nothing else. */
export const ROLES = ['admin', 'operator', 'factory', 'auditor', 'gate'] as const;
export type Role = (typeof ROLES)[number];

/** What a bearer token may do. Only the SHA-256 of its secret is kept. */
export interface TokenRecord {
  /** The public half of the token: 16 hexadecimal digits. */
  readonly id: string;
  /** Unique among tokens that were not revoked. */
  readonly name: string;
  readonly role: Role;
  readonly secretHash: Uint8Array;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
  readonly revokedAt?: number;
  /** Limits of a factory token; absent means not limited. */
  readonly profiles?: readonly string[];
  /** `*` any run of characters, `?` one. */
  readonly serialPattern?: string;
  readonly batch?: string;
  /** Of a gate: the listeners that it may tell sightings of; none where absent. */
  readonly listeners?: readonly string[];
  /** How many certificates it may have issued in all, and has. */
  readonly count?: number;
  readonly used: number;
}

/** A one-time permission for one device. Its first use binds it to a key. */
export interface TicketRecord {
  readonly id: string;
  readonly secretHash: Uint8Array;
  readonly namespace: string;
  readonly serialNumber: string;
  readonly profile: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
  readonly boundKeyHash?: Uint8Array;
  /** It gives a device whose IDevID is compromised another one. */
  readonly recovery: boolean;
  /** Another person than who made it must say yes before it is good. */
  readonly needsApproval: boolean;
  readonly approvedAt?: number;
  readonly approvedBy?: string;
}

/** An operator's certificate that may sign in. Being issued by us is not enough, it must be listed here. */
export interface OperatorRecord {
  readonly serial: Uint8Array;
  readonly name: string;
  readonly role: Role;
  readonly registeredAt: number;
  readonly revokedAt?: number;
}

/** Which certificates of a chain must be within their validity: all of them, only the device's own, or none. */
export type ChainValidity = 'all' | 'leaf' | 'none';

/** A manufacturer's CA whose IDevIDs may enroll here, in a namespace of their own. */
export interface TrustedCa {
  readonly namespace: string;
  /** DER. */
  readonly certificate: Uint8Array;
  /** SHA-256 of the certificate: how people name it. */
  readonly fingerprint: Uint8Array;
  /** Serial numbers that it may vouch for: `*` any run of characters, `?` one. Absent where it may vouch for all. */
  readonly serialPattern?: string;
  readonly validity: ChainValidity;
  readonly addedAt: number;
  readonly addedBy: string;
}

export interface TrustReads {
  /** Oldest first. */
  listTrustedCas(): Promise<readonly TrustedCa[]>;
  /** Grows with every change of that list, so that who keeps a copy knows when it is old. */
  trustVersion(): Promise<number>;
}

export interface TrustWrites extends TrustReads {
  /** Fails with `already-exists` when one with that fingerprint is there. */
  addTrustedCa(ca: TrustedCa): Promise<void>;
  /** Returns false when there is none. */
  removeTrustedCa(fingerprint: Uint8Array): Promise<boolean>;
}

/** What is approved: one key of one device for one profile. */
export interface ApprovalKey {
  readonly namespace: string;
  readonly serialNumber: string;
  readonly keyHash: Uint8Array;
  readonly profile: string;
}

/** An enrollment that waits for an operator's word, or has it. */
export interface ApprovalRecord extends ApprovalKey {
  readonly id: number;
  /** As a certificate's record would keep it. */
  readonly vouchedBy: string;
  readonly state: 'waiting' | 'approved' | 'denied';
  readonly requestedAt: number;
  readonly decidedAt?: number;
  readonly decidedBy?: string;
}

export interface ApprovalReads {
  findApproval(key: ApprovalKey): Promise<ApprovalRecord | undefined>;
  /** Newest first. */
  listApprovals(
    search: PageRequest & { readonly state?: ApprovalRecord['state'] },
  ): Promise<Page<ApprovalRecord>>;
}

export interface ApprovalWrites extends ApprovalReads {
  /** Adds one that waits. One for the same key, device and profile fails the whole work. */
  addApproval(key: ApprovalKey, vouchedBy: string, at: number): Promise<void>;
  /** Returns the record as it is now; undefined where there is none. A word once given may be changed. */
  decideApproval(
    id: number,
    state: 'approved' | 'denied',
    by: string,
    at: number,
  ): Promise<ApprovalRecord | undefined>;
}

export interface CredentialReads {
  findToken(id: string): Promise<TokenRecord | undefined>;
  listTokens(page: PageRequest): Promise<Page<TokenRecord>>;
  findTicket(id: string): Promise<TicketRecord | undefined>;
  findOperator(serial: Uint8Array): Promise<OperatorRecord | undefined>;
}

export interface CredentialWrites extends CredentialReads {
  /** Fails with `already-exists` when a token of that name was not revoked. */
  addToken(token: TokenRecord): Promise<void>;
  /** Returns false when no live token has that name. */
  revokeToken(name: string, at: number): Promise<boolean>;
  /** Adds to the certificates that the token has had issued. */
  countToken(id: string, certificates: number): Promise<void>;
  addTicket(ticket: TicketRecord): Promise<void>;
  bindTicket(id: string, keyHash: Uint8Array): Promise<void>;
  /** Writes down that somebody said yes to it; the first one stays. */
  approveTicket(id: string, by: string, at: number): Promise<void>;
  registerOperator(operator: OperatorRecord): Promise<void>;
}

export type LedgerReads = FleetReads &
  CampaignReads &
  HygieneReads &
  CredentialReads &
  TrustReads &
  ApprovalReads &
  AuditReads;
export type LedgerTx = FleetTx &
  CampaignWrites &
  HygieneWrites &
  CredentialWrites &
  TrustWrites &
  ApprovalWrites;
/** All that the ledger offers; rooms further in see only their part of it. */
export type Ledger = UnitOfWork<LedgerTx, LedgerReads>;
