import type { Database } from 'better-sqlite3';
import type { Before } from './frame.ts';

/** The last frame of the record that the ledger has, and where it lies. */
export interface RecordHead extends Before {
  readonly begin: number;
  readonly end: number;
}

/** Reads the head; undefined where no record was begun for this ledger. */
export function headReader(db: Database): () => RecordHead | undefined {
  const find = db.prepare<[], RecordHead>(
    'SELECT sequence, hash, begin_offset AS begin, end_offset AS "end" FROM record_head',
  );
  return () => find.get();
}

export function headWriter(db: Database): (head: RecordHead) => void {
  const put = db.prepare<[number, Uint8Array, number, number]>(
    'INSERT OR REPLACE INTO record_head (only, sequence, hash, begin_offset, end_offset) VALUES (1, ?, ?, ?, ?)',
  );
  return ({ sequence, hash, begin, end }) => {
    put.run(sequence, hash, begin, end);
  };
}
