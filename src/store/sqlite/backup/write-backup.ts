import { closeSync, existsSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { BirthmarkError } from '../../../core/errors.ts';
import { openFile } from '../connection.ts';
import { syncPath } from '../sync-path.ts';
import { translateError } from '../translate-error.ts';
import { type Backup, openBackup } from './open-backup.ts';

/** A file of a home that is no ledger. */
export interface HomeFile {
  /** From the home's folder on. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly content: Uint8Array;
}

export interface BackupOptions {
  /** The ledger's file. Others may write it meanwhile: the copy is of one moment. */
  readonly ledger: string;
  readonly target: string;
  /** Called behind the ledger's copy: the key of an authority that the copy knows is in it. */
  readonly files: () => readonly HomeFile[];
  readonly madeAt: number;
  readonly program: string;
  /** Whether a file of that name may be replaced. */
  readonly replace: boolean;
}

const TABLES = `
CREATE TABLE backup_facts (only INTEGER PRIMARY KEY CHECK (only = 1), made_at INTEGER NOT NULL, program TEXT NOT NULL) STRICT;
CREATE TABLE home_files (path TEXT PRIMARY KEY, mode INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
`;

/**
 * Writes one file with the ledger and the home's other files, readable by its owner only: under another name first, synced,
 * read back and checked, then renamed.
 *
 * @returns what is in it
 * @throws BirthmarkError `already-exists`, `ledger-full`, `ledger-failed`, `backup-invalid` (what was written cannot be read back)
 */
export function writeBackup(options: BackupOptions): Omit<Backup, 'files'> {
  const { ledger, target, replace } = options;
  if (existsSync(target) && !replace)
    throw new BirthmarkError(
      'already-exists',
      `${target} is there already; name another file, or say --force`,
    );
  const temporary = `${target}.${process.pid}.new`;
  try {
    rmSync(temporary, { force: true });
    closeSync(openSync(temporary, 'wx', 0o600));
    copyLedger(ledger, temporary);
    addFiles(temporary, options);
    syncPath(temporary);
    const written = openBackup(temporary);
    renameSync(temporary, target);
    syncPath(dirname(target));
    const { files, ...facts } = written;
    return facts;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw translateError(error);
  }
}

/** One read transaction: nobody who writes waits for it, or makes it begin again. */
function copyLedger(ledger: string, target: string): void {
  const db = openFile(ledger, { cacheKiB: 4096, busyTimeoutMs: 5000, synchronous: 'FULL' });
  try {
    db.prepare<[string]>('VACUUM INTO ?').run(target);
  } finally {
    db.close();
  }
}

function addFiles(target: string, { files, madeAt, program }: BackupOptions): void {
  const db = new Database(target, { fileMustExist: true });
  try {
    const add = db.transaction(() => {
      db.exec(TABLES);
      db.prepare('INSERT INTO backup_facts (only, made_at, program) VALUES (1, ?, ?)').run(madeAt, program);
      const put = db.prepare('INSERT INTO home_files (path, mode, content) VALUES (?, ?, ?)');
      for (const { path, mode, content } of files()) put.run(path, mode, content);
    });
    add.immediate();
  } finally {
    db.close();
  }
}
