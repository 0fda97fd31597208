import { setTimeout as sleep } from 'node:timers/promises';
import { checkpoint } from './checkpoint.ts';
import { openFile } from './connection.ts';
import { isBusy, translateError } from './translate-error.ts';

export interface KeepWalShortOptions {
  /** The ledger's file. */
  readonly path: string;
  readonly everyMs?: number;
  /** Beyond this the WAL is made to begin again, for which writers and readers wait some milliseconds. */
  readonly maxWalBytes?: number;
  /** Whether somebody else does it at present. */
  readonly isDoneElsewhere?: () => boolean;
  /** Told what went wrong (`ledger-full`, `ledger-failed`); it is tried again the next time. */
  readonly onError: (error: unknown) => void;
}

const EVERY_MS = 1000;
const MAX_WAL_BYTES = 32 * 1024 * 1024;
/** How often the restart is tried at once; then again at the next time. */
const TRIES = 5;
/** How long one try waits for its turn to write, without stopping this process. */
const TURN_MS = 500;
const STEP_MS = 1;
/** How long it then waits for readers. This process and the writers stand still meanwhile. */
const READERS_MS = 20;

/**
 * Copies the WAL into the ledger's file from time to time, so that no request pays for it, and keeps the WAL short even
 * while several processes write without a break. One process of those that share a ledger does this, best one that
 * answers nobody: a copy stops it for as long as the disk takes.
 *
 * @returns stops it
 */
export function keepWalShort({
  path,
  everyMs = EVERY_MS,
  maxWalBytes = MAX_WAL_BYTES,
  isDoneElsewhere = () => false,
  onError,
}: KeepWalShortOptions): () => void {
  // Copying does not go through the cache.
  const db = openFile(path, { cacheKiB: 256, busyTimeoutMs: 0, synchronous: 'FULL' });
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  let stopped = false;

  async function tend(): Promise<void> {
    const { walBytes } = checkpoint(db, 'PASSIVE');
    // All may be copied by now and the WAL still grow: it begins again only where nobody is in a transaction.
    for (let tries = 0; walBytes > maxWalBytes && tries < TRIES; tries += 1) {
      await takeTurn();
      if (stopped || restart()) return;
    }
  }

  /** Waits until nobody writes. Those who want to now look again a millisecond later: time enough for the restart. */
  async function takeTurn(): Promise<void> {
    for (let waited = 0; waited < TURN_MS && !stopped; waited += STEP_MS) {
      try {
        begin.run();
        commit.run();
        return;
      } catch (error) {
        if (!isBusy(error)) throw error;
        await sleep(STEP_MS);
      }
    }
  }

  function restart(): boolean {
    db.pragma(`busy_timeout = ${READERS_MS}`);
    try {
      return checkpoint(db, 'RESTART').complete;
    } finally {
      db.pragma('busy_timeout = 0');
    }
  }

  let tending = false;
  const timer = setInterval(() => {
    if (tending || isDoneElsewhere()) return;
    tending = true;
    tend()
      .catch((error: unknown) => onError(translateError(error)))
      .finally(() => {
        tending = false;
      });
  }, everyMs);
  timer.unref();

  return () => {
    if (stopped) return;
    stopped = true;
    clearInterval(timer);
    db.close();
  };
}
