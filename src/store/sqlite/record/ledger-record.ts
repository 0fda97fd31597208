import type { Database } from 'better-sqlite3';
import type { Clock } from '../../../core/clock.ts';
import { BirthmarkError } from '../../../core/errors.ts';
import { isFull } from '../translate-error.ts';
import { encodeFrame, hashMember, type RecordAct } from './frame.ts';
import { headReader, headWriter } from './head.ts';
import { type Agreed, checkHead, reconcile } from './reconcile.ts';
import { createRecordFile, openRecordFile } from './record-file.ts';

export interface RecordOptions {
  readonly path: string;
  readonly clock: Clock;
  /** Told how many octets were cut off, of a frame at the record's end that was begun and never finished. */
  readonly onCut?: (octets: number) => void;
  /** The ledger is a copy, behind which the record may have gone on. */
  readonly isCopy?: boolean;
}

/**
 * The record as the one who writes the ledger uses it. Crash order: BEGIN, `agree`, works, `seal` (one frame, on the
 * disk), COMMIT. A crash before the COMMIT leaves a frame that the ledger lacks; the next `agree` does it again, in this
 * process or another one.
 */
export interface LedgerRecord {
  /** Brings a ledger up to its record when it is opened, and begins one where there is none. Tells what it brought back. */
  open(): Agreed;
  /** Brings a ledger up to where its record is broken. Tells what it brought back. */
  salvage(): Agreed;
  /** Right after BEGIN. Costs a look at the file's size where the two agree. */
  agree(): void;
  note(act: RecordAct): void;
  /** How many acts were noted: `undoTo` forgets those of a work that failed. */
  mark(): number;
  undoTo(mark: number): void;
  /** Right before COMMIT: appends what was noted. Nothing was noted: touches nothing. */
  seal(): void;
  /** The transaction ended: `error` is what kept it from being committed. */
  ended(error?: unknown): void;
  close(): void;
}

/** A start after a restore may have many to do again: so many a transaction. */
const FRAMES_AT_ONCE = 256;

/** @param db the connection that writes */
export function ledgerRecord(
  db: Database,
  { path, clock, onCut, isCopy = false }: RecordOptions,
): LedgerRecord {
  const file = openRecordFile(path);
  const readHead = headReader(db);
  const writeHead = headWriter(db);
  let acts: RecordAct[] = [];
  /** Where the record ended before the frame of this transaction. */
  let sealedFrom: number | undefined;
  /** Under the lock again: whoever wrote meanwhile has done the frame again, and may have put others behind it. */
  const takeBack = db.transaction((from: number) => {
    if (readHead()?.end === from) file.cut(from);
  });

  function catchUp(maxFrames: number, isEnd: (error: unknown) => boolean): Agreed {
    const all = { frames: 0, reservations: 0, statuses: 0, cut: 0 };
    // A ledger that lacked frames was an older one.
    const some = db.transaction(() =>
      reconcile(db, file, { now: clock(), maxFrames, isCopy: isCopy || all.frames > 0 }),
    );
    try {
      for (let more = true; more; ) {
        const done = some.immediate();
        all.frames += done.frames;
        all.reservations += done.reservations;
        all.statuses += done.statuses;
        all.cut += done.cut;
        more = done.more;
      }
    } catch (error) {
      if (!isEnd(error)) throw error;
    }
    if (all.cut > 0) onCut?.(all.cut);
    return all;
  }

  return {
    open() {
      const head = readHead();
      if (!head) createRecordFile(path);
      else {
        checkHead(file, head);
        if (file.size() === head.end) return { frames: 0, reservations: 0, statuses: 0, cut: 0 };
      }
      return catchUp(FRAMES_AT_ONCE, () => false);
    },
    // One by one: what stands in one transaction with the broken frame would not be kept.
    salvage: () => catchUp(1, (error) => error instanceof BirthmarkError && error.code === 'record-broken'),
    agree() {
      acts = [];
      if (file.size() === readHead()?.end) return;
      const { cut } = reconcile(db, file, { now: clock() });
      if (cut > 0) onCut?.(cut);
    },
    note(act) {
      acts.push(act);
    },
    mark: () => acts.length,
    undoTo(mark) {
      acts.length = mark;
    },
    seal() {
      const head = readHead();
      if (acts.length === 0 || !head) return;
      const member = encodeFrame(acts, head, clock());
      file.append(member, head.end);
      sealedFrom = head.end;
      const end = head.end + member.length;
      writeHead({ sequence: head.sequence + 1, hash: hashMember(member), begin: head.end, end });
    },
    ended(error) {
      acts = [];
      // Surely not committed: callers are told that nothing was done. After any other failure nobody knows, and the frame
      // stays to be done again.
      try {
        if (isFull(error) && sealedFrom !== undefined) takeBack.immediate(sealedFrom);
      } catch {
        // It is done again then, which is only less tidy.
      }
      sealedFrom = undefined;
    },
    close: () => file.close(),
  };
}
