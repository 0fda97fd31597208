import Database from 'better-sqlite3';
import { BirthmarkError } from '../../core/errors.ts';

type SqliteError = InstanceType<typeof Database.SqliteError>;

/** What a UNIQUE violation means to a person, by the table that it names. */
const DUPLICATES: Readonly<Record<string, string>> = {
  authorities: 'an authority of this name or generation is in the ledger already',
  cross_certificates: 'this root certified that one already',
  devices: 'a device of this serial number is in this namespace already',
  keys: 'this key belongs to somebody already',
  certificates: 'this certificate serial number was taken before',
  tokens: 'a token of this name exists; revoke it first, or choose another name',
  tickets: 'a ticket of this id exists already',
  trusted_cas: 'this certificate is trusted already',
  approvals: 'this key of this device waits for its approval already, or has it',
  operators: 'this certificate is registered for an operator already',
};

const FAILURES: readonly (readonly [RegExp, string])[] = [
  [
    /^SQLITE_(?:CORRUPT|NOTADB)/,
    'the ledger file is damaged or is no ledger; stop the server and restore it from a copy',
  ],
  [
    /^SQLITE_(?:READONLY|PERM|AUTH)/,
    'the ledger cannot be written; check the permissions of its file and folder',
  ],
  [/^SQLITE_CANTOPEN/, 'the ledger cannot be opened; check that its folder exists and who may write there'],
  [/^SQLITE_IOERR/, 'the disk failed while the ledger was read or written; look at the system log'],
  [/^SQLITE_NOMEM/, 'there was not enough memory for the ledger'],
  [/^SQLITE_CONSTRAINT/, 'the ledger refused a record that contradicts it'],
];

const FILE_FULL = new Set(['ENOSPC', 'EDQUOT']);

/**
 * Says in our words what SQLite or the file system said: `ledger-busy`, `ledger-full`, `already-exists` or
 * `ledger-failed`, with what happened underneath as `cause`. Errors that are not theirs come back unchanged.
 */
export function translateError(error: unknown): unknown {
  if (error instanceof Database.SqliteError) return translateSqlite(error);
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    if (typeof error.code === 'string' && FILE_FULL.has(error.code)) return full(error);
    return failed('the ledger cannot be opened; check that its folder exists and who may write there', error);
  }
  return error;
}

/** Whether another connection holds what this one wanted. */
export function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(?:BUSY|LOCKED)/.test(error.code);
}

/** Whether there was no room: what SQLite then says before it has written all of a commit. */
export function isFull(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_FULL';
}

export function ledgerBusy(cause?: unknown): BirthmarkError {
  return new BirthmarkError(
    'ledger-busy',
    'another process holds the ledger; nothing was done, try again',
    cause === undefined ? {} : { cause },
  );
}

export function ledgerClosed(): BirthmarkError {
  return new BirthmarkError('unavailable', 'the ledger is closed; nothing was done');
}

function translateSqlite(error: SqliteError): BirthmarkError {
  if (isBusy(error)) return ledgerBusy(error);
  // The index of the WAL cannot grow: of all I/O errors the one that a full disk causes.
  if (error.code === 'SQLITE_FULL' || error.code === 'SQLITE_IOERR_SHMSIZE') return full(error);
  if (/^SQLITE_CONSTRAINT_(?:UNIQUE|PRIMARYKEY|ROWID)$/.test(error.code)) {
    const table = /failed: (\w+)\./.exec(error.message)?.[1] ?? '';
    const message = DUPLICATES[table] ?? 'this record is in the ledger already';
    return new BirthmarkError('already-exists', message, { cause: error });
  }
  const known = FAILURES.find(([pattern]) => pattern.test(error.code));
  return failed(known?.[1] ?? 'the ledger failed', error);
}

function full(cause: Error): BirthmarkError {
  return new BirthmarkError(
    'ledger-full',
    "the ledger's disk is full; nothing was done, make room and try again",
    {
      cause,
    },
  );
}

function failed(message: string, cause: Error): BirthmarkError {
  return new BirthmarkError('ledger-failed', message, { cause });
}
