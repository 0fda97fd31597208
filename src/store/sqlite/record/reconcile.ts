import type { Database } from 'better-sqlite3';
import { BirthmarkError } from '../../../core/errors.ts';
import { newEpoch } from './epoch.ts';
import { encodeFrame, hashMember, NOTHING_BEFORE, type RecordAct } from './frame.ts';
import { headReader, headWriter, type RecordHead } from './head.ts';
import type { RecordFile } from './record-file.ts';
import { type Replayed, replayer } from './replay.ts';
import { walkFrames } from './walk.ts';

export interface ReconcileOptions {
  readonly now: number;
  /** So many frames at most, so that a transaction does not grow without end; unbounded where it is not given. */
  readonly maxFrames?: number;
  /** The ledger may be an older copy: see `WalkOptions`. */
  readonly isCopy?: boolean;
}

/** What was done to make ledger and record agree. */
export interface Agreed extends Replayed {
  /** Octets of a frame that was begun and never finished, which were cut off. */
  readonly cut: number;
}

export interface Reconciled extends Agreed {
  /** There are more frames to come. */
  readonly more: boolean;
}

const NOTHING: Reconciled = { frames: 0, reservations: 0, statuses: 0, cut: 0, more: false };

/**
 * Makes ledger and record agree, within a transaction that has just begun and holds the write lock: what the record has
 * and the ledger lacks is done again, a torn end is cut off, and a record is begun where there is none yet.
 *
 * @throws BirthmarkError `record-missing`, `record-behind`, `record-foreign`, `record-broken`
 */
export function reconcile(db: Database, file: RecordFile, options: ReconcileOptions): Reconciled {
  const head = headReader(db)();
  if (!head) {
    beginFirst(db, file, options.now);
    return NOTHING;
  }
  const size = file.size();
  checkHead(file, head, size);
  if (size === head.end) return NOTHING;
  return replayBehind(db, file, head, size, options);
}

/**
 * Holds the record to the frame that the ledger knows as its last.
 *
 * @throws BirthmarkError `record-missing`, `record-behind`, `record-foreign`
 */
export function checkHead(file: RecordFile, head: RecordHead, size = file.size()): void {
  const { path } = file;
  if (size < head.end)
    throw new BirthmarkError(
      'record-behind',
      `the record ${path} ends before the ledger does (it has ${size} octets, ${head.end} are due): acts are missing in it; ` +
        'put back the newest copy of it. If there is none: birthmark restore --begin-record',
    );
  const member = file.memberAt(head.begin, size);
  if (typeof member === 'string' || !hashMember(member).equals(head.hash))
    throw new BirthmarkError(
      'record-foreign',
      `the record ${path} does not have frame ${head.sequence} as this ledger knows it: one of the two is of another home, or was ` +
        'changed; put back the right one. If there is none: birthmark restore --begin-record',
    );
}

function replayBehind(
  db: Database,
  file: RecordFile,
  head: RecordHead,
  size: number,
  { now, maxFrames = Number.POSITIVE_INFINITY, isCopy = false }: ReconcileOptions,
): Reconciled {
  const replay = replayer(db);
  const done = { frames: 0, reservations: 0, statuses: 0, cut: 0 };
  let last = head;
  for (const step of walkFrames(file, head, size, { isLatest: !isCopy })) {
    if ('torn' in step) {
      file.cut(step.torn);
      done.cut = size - step.torn;
      break;
    }
    const { reservations, statuses } = replay(step.frame.acts);
    done.frames += 1;
    done.reservations += reservations;
    done.statuses += statuses;
    last = step.head;
    if (done.frames >= maxFrames) break;
  }
  // Who wrote it may have been killed before the disk had it, and the ledger must never be ahead.
  file.sync();
  headWriter(db)(last);
  if (done.statuses > 0) newEpoch(db, now);
  note(db, now, 'record.replay', { ...done, from: head.sequence + 1, to: last.sequence });
  return { ...done, more: done.cut === 0 && last.end < size };
}

/**
 * Begins the record of a ledger that has none. Of an attempt that a crash cut short there is one frame at most, which
 * nothing was committed with.
 */
function beginFirst(db: Database, file: RecordFile, now: number): void {
  const size = file.size();
  let frames = 0;
  let tells = false;
  for (const step of walkFrames(file, { ...NOTHING_BEFORE, end: 0 }, size)) {
    if ('torn' in step) break;
    frames += 1;
    tells = frames > 1 || step.frame.acts.some(({ act }) => act !== 'begin');
    if (tells) break;
  }
  if (tells)
    throw new BirthmarkError(
      'record-foreign',
      `the record ${file.path} tells of acts, and this ledger was never written with it: the ledger was lost or is of another ` +
        'home; bring it back with birthmark restore',
    );
  if (size > 0) file.cut(0);
  const empty = db.prepare('SELECT 1 FROM certificates LIMIT 1').get() === undefined;
  beginRecord(db, file, empty ? 'new' : 'late', now);
}

/** Writes the first frame, and the head for it. */
export function beginRecord(
  db: Database,
  file: RecordFile,
  reason: Extract<RecordAct, { act: 'begin' }>['reason'],
  now: number,
): void {
  const count = (sql: string) => Number(db.prepare(sql).pluck().get() ?? 0);
  const begin: RecordAct = {
    act: 'begin',
    reason,
    epoch: String(db.prepare('SELECT epoch FROM status_epoch').pluck().get()),
    certificates: count('SELECT count(*) FROM certificates'),
    revocations: count('SELECT count(*) FROM revocations'),
    lastStatusChange: count('SELECT max(sequence) FROM status_changes'),
  };
  const member = encodeFrame([begin], NOTHING_BEFORE, now);
  file.append(member, 0);
  headWriter(db)({ sequence: 1, hash: hashMember(member), begin: 0, end: member.length });
}

export function note(db: Database, at: number, action: string, facts: object): void {
  db.prepare<[number, string, string]>(
    `INSERT INTO audit (at, actor, action, subject, outcome, facts) VALUES (?, 'system', ?, 'record', 'done', ?)`,
  ).run(at, action, JSON.stringify(facts));
}
