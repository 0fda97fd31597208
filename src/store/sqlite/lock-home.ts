import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BirthmarkError } from '../../core/errors.ts';
import { createFile } from './connection.ts';
import { isBusy, translateError } from './translate-error.ts';

export interface HomeLock {
  release(): void;
}

const LOCK_FILE = 'serve.lock';

/**
 * Takes a home for this process alone until it releases it or ends, however it ends: the kernel lets go of the lock,
 * nothing is left to clean up. Does not wait.
 *
 * The file must never be opened by other means in this process: closing it would drop the lock (POSIX record locks).
 *
 * @param home the folder
 * @throws BirthmarkError `home-in-use`, `home-missing`, `home-unreadable`, `ledger-full` (the lock needs a block of its disk)
 */
export function lockHome(home: string): HomeLock {
  const file = join(home, LOCK_FILE);
  let db: Database.Database | undefined;
  try {
    createFile(file);
    db = new Database(file, { timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    throw refusal(home, error);
  }
  const held = db;
  return { release: () => held.close() };
}

function refusal(home: string, cause: unknown): unknown {
  if (isBusy(cause)) {
    return new BirthmarkError('home-in-use', `another process serves ${home}; stop it, or use another home`, {
      cause,
    });
  }
  const translated = translateError(cause);
  if (translated instanceof BirthmarkError && translated.code === 'ledger-full') return translated;
  if (!(cause instanceof Error && 'code' in cause)) return cause;
  if (cause.code === 'ENOENT') {
    return new BirthmarkError('home-missing', `there is no home at ${home}`, { cause });
  }
  return new BirthmarkError(
    'home-unreadable',
    `${join(home, LOCK_FILE)} cannot be locked; check who may write there`,
    {
      cause,
    },
  );
}
