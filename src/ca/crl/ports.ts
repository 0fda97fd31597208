import type { CrlReasonName } from '../../x509/crl-reason.ts';

/** What is known of a published CRL. `scope` is `full`, `delta` or the shard's number in decimal. */
export interface CrlFacts {
  readonly authority: string;
  readonly scope: string;
  readonly number: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** The last change of a status that it tells, as `StatusChange.sequence`. */
  readonly changes: number;
  /** Certificates that ended before it are not on the list any more. */
  readonly endedBefore: number;
  /** Whether it has an issuingDistributionPoint: a full list with one and a delta without are not of one scope. */
  readonly idp: boolean;
  /** Of a delta: the number of the full list that it starts from. */
  readonly base?: number;
}

/** A CRL with its octets, DER. */
export interface CrlRecord extends CrlFacts {
  readonly crl: Uint8Array;
}

export interface PublishedCrl extends CrlFacts {
  /** Octets of the list. */
  readonly size: number;
  /** `thisUpdate`, or the second after the list before: two lists of a scope never have the same. */
  readonly modifiedAt: number;
}

/** A full list that deltas start from: who has it or a later one can use them. */
export type CrlBase = Omit<CrlFacts, 'scope' | 'nextUpdate' | 'base'>;

/** What a list says of one certificate: one row of a million, so no object. Times in milliseconds since the epoch. */
export type ListedRow = readonly [
  /** The octets of the serial number's INTEGER, hexadecimal. */
  serial: string,
  revokedAt: number,
  /** `certificateHold` where it is held; null: unspecified. */
  reason: Exclude<CrlReasonName, 'removeFromCRL'> | null,
  invalidityAt: number | null,
  /** The row of a certificate that no list had before; null where one had it. */
  unlisted: number | null,
];

/** A certificate whose status changed behind a base. */
export interface ChangedRow {
  readonly sequence: number;
  readonly serial: string;
  /** Of the change. */
  readonly at: number;
  /** How it is at the moment that is read; undefined where it is good. */
  readonly listed?: ListedRow;
  readonly notAfter: number;
}

/** The ledger as it was at one moment, whatever is written meanwhile. Each call holds the process up for what it reads. */
export interface CrlMoment {
  /** The last sequence number, 0 before the first change. */
  readonly changes: number;
  /**
   * What an authority took back, in the order of serial numbers, from behind `after` on; of one shard where it is given.
   * Those whose certificate ended before `endedBefore` are left out.
   */
  listEntries(search: {
    readonly authority: string;
    readonly shard?: number;
    readonly endedBefore: number;
    readonly after: string;
    readonly limit: number;
  }): readonly ListedRow[];
  /** As many as `listEntries` gives in all, or more. */
  countEntries(authority: string, shard?: number): number;
  /** An authority's changes behind a sequence number, oldest first. */
  listChanged(authority: string, after: number, limit: number): readonly ChangedRow[];
  /** What an authority took back and whose certificate ended from `from` on and before `until`, as `listEntries`. */
  listEnded(search: {
    readonly authority: string;
    readonly from: number;
    readonly until: number;
    readonly after: string;
    readonly limit: number;
  }): readonly ListedRow[];
}

export interface CrlMoments {
  /** Reads lists' content from one moment. It costs a connection: for lists, not for requests. */
  atOneMoment<T>(work: (moment: CrlMoment) => Promise<T>): Promise<T>;
}

export interface CrlReads {
  findCrl(authority: string, scope: string): Promise<(PublishedCrl & CrlRecord) | undefined>;
  /** Without its octets. */
  findCrlFacts(authority: string, scope: string): Promise<PublishedCrl | undefined>;
  /** A list's octets are in pieces of at most a million or so, from 0 on; undefined behind the last one, or replaced. */
  readCrlPiece(
    crl: Pick<CrlFacts, 'authority' | 'scope' | 'number'>,
    piece: number,
  ): Promise<Uint8Array | undefined>;
  /** Each published CRL of an authority, without its octets. */
  listCrls(authority: string): Promise<readonly PublishedCrl[]>;
  /** Those of all authorities that do not tell the last change of their scope, with the time of the first that they do not tell. */
  listStaleCrls(): Promise<readonly (PublishedCrl & { readonly untoldSince: number })[]>;
  /** Oldest first. */
  listCrlBases(authority: string): Promise<readonly CrlBase[]>;
  /** How much a delta behind a base has to tell: changes, and certificates that ended before that time. Counts to `most`. */
  countBehind(base: CrlBase, endedBefore: number, most: number): Promise<number>;
}

export interface CrlWrites extends CrlReads {
  /** Takes the next number of a scope for good, even if no CRL follows: numbers are never used twice. */
  takeCrlNumber(authority: string, scope: string): Promise<number>;
  /** Writes a part of a list's octets ahead, so that others can write between the parts of a large one. */
  addCrlPieces(
    crl: Pick<CrlFacts, 'authority' | 'scope' | 'number'>,
    first: number,
    pieces: readonly Uint8Array[],
  ): Promise<void>;
  /**
   * Replaces the published CRL of the scope by a small one with its octets, or one whose pieces were all written ahead. One
   * with a lower number, or that tells less changes, replaces nothing.
   *
   * @returns whether it is published now
   */
  publishCrl(crl: CrlFacts & { readonly crl?: Uint8Array }): Promise<boolean>;
  /**
   * Drops pieces of lists that were replaced, or never published, but for the list before the published one, which
   * somebody may be reading.
   *
   * @returns how many were dropped; 0 when there are no more
   */
  dropCrlPieces(authority: string, scope: string, limit: number): Promise<number>;
  /** Adds a base, and forgets those of the authority with a number below `forgetBelow`. */
  addCrlBase(base: CrlBase, forgetBelow: number): Promise<void>;
}
