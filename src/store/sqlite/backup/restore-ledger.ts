import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { BirthmarkError } from '../../../core/errors.ts';
import { openFile } from '../connection.ts';
import { migrate } from '../migrate.ts';
import { beginRecordAnew, stampOf } from '../record/begin-anew.ts';
import { newEpoch } from '../record/epoch.ts';
import { ledgerRecord, type RecordOptions } from '../record/ledger-record.ts';
import { type Agreed, note } from '../record/reconcile.ts';
import { verifyRecord } from '../record/verify-record.ts';
import { syncPath } from '../sync-path.ts';
import { isBusy, translateError } from '../translate-error.ts';

export interface RestoreOptions {
  /** A backup that `openBackup` found good. */
  readonly backup: string;
  /** Where the ledger goes. The caller holds the lock of the home. */
  readonly ledger: string;
  readonly record: RecordOptions;
  /** Begins the record anew where the one that is there does not fit. */
  readonly beginRecord: boolean;
  /** Told the authorities before anything is changed; throws where the home cannot go on with these. */
  readonly judge?: (authorities: KnownAuthorities) => void;
}

/** Names of authorities. */
export interface KnownAuthorities {
  readonly all: readonly string[];
  /** Those that the record brought back: the backup has no key of theirs. */
  readonly fromRecord: readonly string[];
}

export interface Restored {
  /** What the record brought back beyond the backup. */
  readonly replayed: Agreed;
  /** Whether the record was begun anew, and where the one before it is now. */
  readonly begun: boolean;
  readonly recordAside?: string;
  /** There is no record: nothing is signed until it is back, or begun anew. */
  readonly recordMissing: boolean;
  /** Where the ledger that lay there is now. */
  readonly ledgerAside?: string;
}

const BUSY_TIMEOUT_MS = 5000;

/**
 * Puts the ledger of a backup in its place and brings it up to the record. All is done to a copy beside it, and one rename
 * makes it the ledger: killed at any step, either the old or the new one is there, and it can be run again.
 *
 * @throws BirthmarkError `record-behind`, `record-foreign`, `record-broken` (with nothing changed), `ledger-busy`, `ledger-full`
 */
export function restoreLedger(options: RestoreOptions): Restored {
  const { backup, ledger, record, beginRecord } = options;
  const copy = `${ledger}.restoring`;
  const removeCopy = () => {
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${copy}${end}`, { force: true });
  };
  const aside = existsSync(ledger) ? `${ledger}.before-restore-${stampOf(record.clock())}` : undefined;
  const take = () => (aside === undefined ? undefined : takeLedger(ledger));
  // Before all else: a record that is begun anew does not fit the ledger that stays where that is in use.
  let old = beginRecord ? take() : undefined;
  try {
    removeCopy();
    copyFileSync(backup, copy, constants.COPYFILE_FICLONE);
    const outcome = bringUp(copy, options);
    syncPath(copy);
    old ??= take();
    if (aside !== undefined) putAside(ledger, aside, old);
    for (const end of ['-wal', '-shm']) rmSync(`${ledger}${end}`, { force: true });
    renameSync(copy, ledger);
    syncPath(dirname(ledger));
    return { ...outcome, ...(aside !== undefined && { ledgerAside: aside }) };
  } catch (error) {
    removeCopy();
    if (old) giveBack(old);
    throw translateError(error);
  } finally {
    old?.close();
  }
}

/** Begins the record of a ledger anew where it lies; see `beginRecordAnew`. Does nothing where all of it agrees with the ledger. */
export function renewRecord(ledger: string, record: RecordOptions): Omit<Restored, 'ledgerAside'> {
  const db = openFile(ledger, { cacheKiB: 4096, busyTimeoutMs: BUSY_TIMEOUT_MS, synchronous: 'FULL' });
  try {
    migrate(db, BUSY_TIMEOUT_MS);
    const outcome = agree(db, record, true);
    // The start looks at the record's end only: one that is damaged further up is renewed too.
    if (outcome.begun || verifyRecord({ ledger, record: record.path, full: true }).findings.length === 0)
      return outcome;
    const recordAside = beginRecordAnew(db, record);
    return { ...outcome, begun: true, ...(recordAside !== undefined && { recordAside }) };
  } catch (error) {
    throw translateError(error);
  } finally {
    db.close();
  }
}

function bringUp(
  copy: string,
  { record, beginRecord, judge }: RestoreOptions,
): Omit<Restored, 'ledgerAside'> {
  const db = openFile(copy, { cacheKiB: 16_384, busyTimeoutMs: BUSY_TIMEOUT_MS, synchronous: 'FULL' });
  try {
    db.exec('DROP TABLE backup_facts; DROP TABLE home_files');
    migrate(db, BUSY_TIMEOUT_MS);
    const names = () => db.prepare<[], string>('SELECT name FROM authorities ORDER BY id').pluck().all();
    const before = names();
    const outcome = agree(db, { ...record, isCopy: true }, beginRecord);
    const all = names();
    judge?.({ all, fromRecord: all.filter((name) => !before.includes(name)) });
    const now = record.clock();
    const mark = db.transaction(() => {
      newEpoch(db, now);
      note(db, now, 'ledger.restore', outcome.replayed);
    });
    mark.immediate();
    // One file is moved: what did not get out of the log would be lost, and SQLite tells nobody when it closes.
    if (db.pragma('journal_mode = DELETE', { simple: true }) !== 'delete') throw inUse();
    return outcome;
  } finally {
    db.close();
  }
}

/** Brings the ledger up to its record, or begins the record anew where that was asked for and is needed. */
function agree(
  db: Database.Database,
  record: RecordOptions,
  beginRecord: boolean,
): Omit<Restored, 'ledgerAside'> {
  const nothing = { frames: 0, reservations: 0, statuses: 0, cut: 0 };
  const beside = ledgerRecord(db, record);
  try {
    return { replayed: beside.open(), begun: false, recordMissing: false };
  } catch (error) {
    if (!(error instanceof BirthmarkError && error.code.startsWith('record-'))) throw error;
    if (beginRecord) {
      const replayed = error.code === 'record-broken' ? beside.salvage() : nothing;
      const aside = beginRecordAnew(db, record);
      return {
        replayed,
        begun: true,
        recordMissing: false,
        ...(aside !== undefined && { recordAside: aside }),
      };
    }
    if (error.code !== 'record-missing') throw error;
    return { replayed: nothing, begun: false, recordMissing: true };
  } finally {
    beside.close();
  }
}

/**
 * Takes the old ledger for this process alone, with its write-ahead log in it: a log that stayed would be taken for the new
 * one's.
 *
 * @returns what holds it; undefined where it is too damaged for that
 * @throws BirthmarkError `ledger-busy`
 */
function takeLedger(ledger: string): Database.Database | undefined {
  let old: Database.Database | undefined;
  try {
    old = new Database(ledger, { timeout: BUSY_TIMEOUT_MS });
    if (old.pragma('journal_mode = DELETE', { simple: true }) !== 'delete') throw inUse();
    // Held beyond the transaction, so that the ledger can be copied under it.
    old.pragma('locking_mode = EXCLUSIVE');
    old.exec('BEGIN EXCLUSIVE; COMMIT');
    return old;
  } catch (error) {
    old?.close();
    if (isBusy(error)) throw inUse(error);
    if (error instanceof BirthmarkError) throw error;
    return undefined;
  }
}

/** The ledger stays, and as others expect it. */
function giveBack(old: Database.Database): void {
  old.pragma('locking_mode = NORMAL');
  old.pragma('journal_mode = WAL');
}

/** Keeps the old ledger under another name; with its log where that is not in it. */
function putAside(ledger: string, aside: string, old: Database.Database | undefined): void {
  keepBeside(ledger, aside, old);
  if (old === undefined && existsSync(`${ledger}-wal`)) renameSync(`${ledger}-wal`, `${aside}-wal`);
}

/**
 * A second name for the same file; a copy where the disk has no such thing. What holds the ledger makes it: who else opens
 * and closes that file in this process drops its lock (POSIX record locks).
 */
function keepBeside(ledger: string, aside: string, old: Database.Database | undefined): void {
  try {
    linkSync(ledger, aside);
    return;
  } catch {
    if (old === undefined) {
      copyFileSync(ledger, aside, constants.COPYFILE_FICLONE);
      return;
    }
  }
  try {
    closeSync(openSync(aside, 'wx', 0o600));
    old.prepare<[string]>('VACUUM INTO ?').run(aside);
  } catch {
    // Too damaged, or no room: for a moment there is no ledger then, which a start under its record refuses.
    renameSync(ledger, aside);
  }
}

function inUse(cause?: unknown): BirthmarkError {
  return new BirthmarkError(
    'ledger-busy',
    'another process has the ledger open; nothing was done, end it and try again',
    cause === undefined ? {} : { cause },
  );
}
