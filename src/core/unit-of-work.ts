/**
 * How rooms reach the ledger. The store implements it; each room names in its `ports.ts` the part `Tx` that it needs.
 *
 * - `write` runs the work in one transaction: all of it happens or nothing does, and no other write runs meanwhile.
 *   The promise resolves when the outcome is durable (it survives a power cut). Works that arrive together may share
 *   one sync to disk, but one that throws undoes only itself; so does one in which a call of the ledger failed, even if
 *   the work went on. A work must do nothing but call the ledger, and await each call: every other writer waits for it.
 * - `read` sees what was committed, never a transaction that is still open.
 *
 * Errors: `ledger-busy` (another process held the ledger too long; nothing was done, try again), `ledger-full`
 * (nothing was done), `ledger-failed`.
 */
export interface UnitOfWork<Tx, Reads> {
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  readonly read: Reads;
}

/** One page of a list: ask again with `cursor` for the next one; no cursor, no more. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor?: string;
}

export interface PageRequest {
  readonly cursor?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}
