import type { Database } from 'better-sqlite3';

/** What is left in the WAL. */
export interface Checkpoint {
  /** Octets in the WAL that commits wrote since it last began again. */
  readonly walBytes: number;
  /** PASSIVE: all of it is in the ledger's file too. RESTART: and the next commit begins the WAL again. */
  readonly complete: boolean;
}

/** A page of 4 KiB and the frame's header (https://www.sqlite.org/fileformat.html#the_write_ahead_log). */
const FRAME_BYTES = 4096 + 24;

interface Row {
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

/**
 * Copies the WAL into the ledger's file. PASSIVE waits for nobody. RESTART waits, for the connection's busy timeout,
 * until nobody writes and nobody reads from the WAL, so that the next commit begins it again.
 */
export function checkpoint(db: Database, mode: 'PASSIVE' | 'RESTART'): Checkpoint {
  const [row] = db.prepare<[], Row>(`PRAGMA wal_checkpoint(${mode})`).all();
  if (!row) throw new Error('wal_checkpoint gave no row');
  const { busy, log, checkpointed } = row;
  return { walBytes: Math.max(0, log) * FRAME_BYTES, complete: busy === 0 && log === checkpointed };
}
