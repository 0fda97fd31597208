import { openFile } from './connection.ts';
import { translateError } from './translate-error.ts';

/**
 * Reads every page of the ledger's file and checks that it hangs together.
 *
 * @returns `ok`, or what SQLite found first
 * @throws BirthmarkError `ledger-failed`
 */
export function checkLedger(path: string): string {
  try {
    const db = openFile(path, { cacheKiB: 16_384, busyTimeoutMs: 5000, synchronous: 'FULL', readonly: true });
    try {
      return String(db.pragma('quick_check(1)', { simple: true }));
    } finally {
      db.close();
    }
  } catch (error) {
    throw translateError(error);
  }
}
