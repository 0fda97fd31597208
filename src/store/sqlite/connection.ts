import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { RecordAct } from './record/frame.ts';

/**
 * What the subjects' files (`devices.ts`, …) need of a connection.
 *
 * A statement over several tables that compares a column with a bound value says `= +?`: with `= ?` the planner looks at the value, and
 * SQLite compiles the statement anew each time that another one is bound (https://www.sqlite.org/c3ref/prepare.html), which takes longer
 * than most of our reads. On statements of one table and on those that are seldom run it does not tell.
 */
export interface Connection {
  readonly db: Database.Database;
  /**
   * Runs the statements of one call at once and gives its outcome as a promise, with errors translated. All that a
   * reader's call sees is of one moment.
   */
  call<T>(act: () => T): Promise<T>;
  /** Lets others have a turn between the slices of a long search; at once inside a write, where nobody may wait. */
  pause(): Promise<void>;
  /** Keeps an act for the record beside the ledger, if there is one. */
  note(act: RecordAct): void;
}

export interface FileOptions {
  readonly cacheKiB: number;
  /** How long SQLite may sleep for a lock. The whole process sleeps with it. */
  readonly busyTimeoutMs: number;
  /** FULL: a commit is on the disk when it returns. OFF only for ledgers that are thrown away. */
  readonly synchronous: 'FULL' | 'OFF';
  /** Writes nothing, not even the log into the file when it closes. */
  readonly readonly?: boolean;
}

/** Frames of 4 KiB after which a commit copies the WAL itself: a last resort, see `keepWalShort`. */
const LAST_RESORT_FRAMES = 65_536;
/** What the WAL's file shrinks to when it begins again. */
const WAL_FILE_BYTES = 32 * 1024 * 1024;

/** Opens one connection to the ledger's file, which must exist. */
export function openFile(
  path: string,
  { cacheKiB, busyTimeoutMs, synchronous, readonly = false }: FileOptions,
): Database.Database {
  const db = new Database(path, { fileMustExist: true, timeout: busyTimeoutMs, readonly });
  try {
    db.pragma(`synchronous = ${synchronous}`);
    db.pragma('foreign_keys = ON');
    db.pragma(`cache_size = -${cacheKiB}`);
    db.pragma(`wal_autocheckpoint = ${LAST_RESORT_FRAMES}`);
    db.pragma(`journal_size_limit = ${WAL_FILE_BYTES}`);
    // Savepoints keep the pages that they may have to bring back in memory instead of a file a transaction.
    db.pragma('temp_store = MEMORY');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Makes the file readable by its owner only where it does not exist yet. SQLite gives its other files the same mode. */
export function createFile(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
}
