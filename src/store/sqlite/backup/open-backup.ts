import Database from 'better-sqlite3';
import { BirthmarkError } from '../../../core/errors.ts';
import { APPLICATION_ID, refuseNewer } from '../migrate.ts';
import type { HomeFile } from './write-backup.ts';

/** What is in a backup. */
export interface Backup {
  readonly madeAt: number;
  /** The version of the program that wrote it. */
  readonly program: string;
  readonly octets: number;
  readonly devices: number;
  readonly certificates: number;
  readonly revocations: number;
  /** The last frame of the record that its ledger knows; 0 where no record was begun. */
  readonly recordSequence: number;
  readonly files: readonly HomeFile[];
}

/** Nothing else of a home is ever in a backup: what is unpacked stays within the home. */
const HOME_FILE = /^(?:birthmark\.toml|(?:keys|pki)\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,120})$/;

/**
 * Reads a backup and checks all of it: whole, ours, of a version that we know or an older one, whose shape it keeps.
 *
 * @throws BirthmarkError `backup-invalid`, `ledger-newer`
 */
export function openBackup(path: string): Backup {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
    if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID)
      throw invalid(path, 'is no backup of this program');
    refuseNewer(db);
    const whole = db.pragma('quick_check(1)', { simple: true });
    if (whole !== 'ok') throw invalid(path, `is damaged (${String(whole)})`);
    if (db.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'backup_facts'`).get() === undefined)
      throw invalid(path, 'is a ledger, and no backup: birthmark backup writes those');
    return read(db, path);
  } catch (error) {
    if (error instanceof BirthmarkError) throw error;
    throw invalid(path, 'cannot be read: it is not there, is damaged, or is no backup', error);
  } finally {
    db?.close();
  }
}

function read(db: Database.Database, path: string): Backup {
  const count = (sql: string) => Number(db.prepare(sql).pluck().get() ?? 0);
  // A ledger is copied as it is, before an upgrade too: an older one has no such table yet.
  const has = (table: string) =>
    db.prepare<[string]>('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table) !== undefined;
  const facts = db
    .prepare<[], { madeAt: number; program: string }>('SELECT made_at AS madeAt, program FROM backup_facts')
    .get();
  if (!facts) throw invalid(path, 'does not say when it was made');
  const files = db.prepare<[], HomeFile>('SELECT path, mode, content FROM home_files ORDER BY path').all();
  const strange = files.find((file) => !HOME_FILE.test(file.path));
  if (strange) throw invalid(path, `has a file that belongs to no home: ${JSON.stringify(strange.path)}`);
  return {
    ...facts,
    octets: count('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size'),
    devices: count('SELECT count(*) FROM devices'),
    certificates: count('SELECT count(*) FROM certificates'),
    revocations: has('revocations') ? count('SELECT count(*) FROM revocations') : 0,
    recordSequence: has('record_head') ? count('SELECT sequence FROM record_head') : 0,
    files,
  };
}

function invalid(path: string, what: string, cause?: unknown): BirthmarkError {
  return new BirthmarkError(
    'backup-invalid',
    `${path} ${what}; take another one`,
    cause === undefined ? {} : { cause },
  );
}
