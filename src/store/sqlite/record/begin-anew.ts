import { existsSync, renameSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { newEpoch } from './epoch.ts';
import type { RecordOptions } from './ledger-record.ts';
import { beginRecord, note } from './reconcile.ts';
import { createRecordFile, openRecordFile } from './record-file.ts';

/** More than any list is published while a record is lost and the clock is wrong. */
const NUMBERS_AHEAD = 1_000_000;

/**
 * Begins a record where the one before it is lost, so that what came since the ledger's copy is unknown: every number of a
 * list moves ahead so far that none is used twice, lists are due at once, and who follows changes of status starts afresh.
 *
 * Numbers go on above the time in milliseconds: a copy may be older than an earlier loss, and must not come to the numbers
 * that were given after that one.
 *
 * Killed at any step it can be run again: the record that lay there is moved aside first, and the ledger knows the new
 * one's first frame when it is committed.
 *
 * @returns where the record that lay there is now
 */
export function beginRecordAnew(db: Database, { path, clock }: RecordOptions): string | undefined {
  const now = clock();
  const aside = existsSync(path) ? `${path}.before-${stampOf(now)}` : undefined;
  if (aside !== undefined) renameSync(path, aside);
  createRecordFile(path);
  const file = openRecordFile(path);
  try {
    const begin = db.transaction(() => {
      for (const table of ['crl_numbers', 'crl_number_floor'])
        db.prepare(`UPDATE ${table} SET number = max(number, ?) + ?`).run(now, NUMBERS_AHEAD);
      db.prepare('UPDATE crls SET next_update = this_update').run();
      newEpoch(db, now);
      note(db, now, 'record.begin', { reason: 'anew', numbersAhead: NUMBERS_AHEAD });
      beginRecord(db, file, 'anew', now);
    });
    begin.immediate();
  } finally {
    file.close();
  }
  return aside;
}

/** A moment as part of a file's name: `20261122T120000123Z`. */
export function stampOf(moment: number): string {
  return new Date(moment).toISOString().replace(/[-:.]/g, '');
}
