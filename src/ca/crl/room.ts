import type { UnitOfWork } from '../../core/unit-of-work.ts';
import type { Authorities } from '../authority.ts';
import type { CaReads, CaTx } from '../ports.ts';
import type { PublishedUrls } from '../published-urls.ts';
import type { CrlMoments } from './ports.ts';
import type { CrlOrder } from './scope.ts';

export interface CrlPolicy {
  /** How many shards the certificates issued from now on are spread over. Grows, never shrinks. */
  readonly shards: number;
  /** From thisUpdate to nextUpdate. A list is replaced when half of it has passed. */
  readonly validityMs: number;
  /** So long after a full list was published, changes wait for the next one. Shards and deltas never wait. */
  readonly coalesceMs: number;
  /** Whether full lists and deltas have an issuingDistributionPoint too. Shards always have one. */
  readonly idp: 'always' | 'partitionedOnly';
}

/** What publishing lists needs. */
export interface CrlRoom {
  readonly ledger: UnitOfWork<CaTx, CaReads> & CrlMoments;
  readonly authorities: Authorities;
  readonly urls: PublishedUrls;
  readonly policy: CrlPolicy;
  /** Nobody waits for this thread: what takes long is done in it, without a copy for another one. */
  readonly isAlone?: boolean;
  /** Publishes lists of many entries for `publishCrls` in another thread, where this one has others to serve. */
  readonly publishLarge?: (orders: readonly CrlOrder[], now: number) => Promise<number>;
}
