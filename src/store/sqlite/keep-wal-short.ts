import { setTimeout as sleep } from 'node:timers/promises';
import { checkpoint } from './checkpoint.ts';
import { openFile } from './connection.ts';
import { translateError } from './translate-error.ts';

export interface KeepWalShortOptions {
  /** The ledger's file. */
  readonly path: string;
  readonly everyMs?: number;
  /** Beyond this the WAL is made to begin again, for which writers and readers wait some milliseconds. */
  readonly maxWalBytes?: number;
  /** Told what went wrong (`ledger-full`, `ledger-failed`); it is tried again the next time. */
  readonly onError: (error: unknown) => void;
}

const EVERY_MS = 1000;
const MAX_WAL_BYTES = 32 * 1024 * 1024;
/** For so long, at most, one try stops the process, and every writer with it. */
const TRY_MS = 20;
const TRIES = 25;
const BETWEEN_TRIES_MS = 7;

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
  onError,
}: KeepWalShortOptions): () => void {
  // Copying does not go through the cache.
  const db = openFile(path, { cacheKiB: 256, busyTimeoutMs: TRY_MS, synchronous: 'FULL' });
  let stopped = false;

  async function tend(): Promise<void> {
    let state = checkpoint(db, 'PASSIVE');
    for (let tries = 0; tries < TRIES && !state.complete && state.walBytes > maxWalBytes; tries += 1) {
      await sleep(BETWEEN_TRIES_MS);
      if (stopped) return;
      state = checkpoint(db, 'RESTART');
    }
  }

  let tending = false;
  const timer = setInterval(() => {
    if (tending) return;
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
