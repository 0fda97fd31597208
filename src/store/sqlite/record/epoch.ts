import type { Database } from 'better-sqlite3';

/** Begins a new epoch of status changes: who followed them starts afresh. */
export function newEpoch(db: Database, now: number): void {
  db.prepare<[number]>('UPDATE status_epoch SET epoch = lower(hex(randomblob(16))), begun_at = ?').run(now);
}
