import { BirthmarkError } from '../../core/errors.ts';
import { cutLines } from './cut-lines.ts';
import { type Position, parsePosition, positionToText } from './position.ts';
import { type ReadSnapshot, readSnapshot, type SnapshotRules } from './read-snapshot.ts';
import { type Change, parseChange } from './wire.ts';

/** What a gate keeps on disk for the day on which the authority is away. */
export interface StatusStore {
  /** The snapshot that was kept last; undefined where there is none. */
  readSnapshot(): AsyncIterable<Uint8Array> | undefined;
  /** Writes a snapshot beside that while it is read; it replaces the other one with `keep`, and is gone with `drop`. */
  writeSnapshot(source: AsyncIterable<Uint8Array>): {
    readonly through: AsyncIterable<Uint8Array>;
    /** Durable when it resolves; forgets the notes from before. */
    keep(): Promise<void>;
    drop(): Promise<void>;
  };
  /** What was noted since that snapshot, a line each. */
  readNotes(): AsyncIterable<Uint8Array> | undefined;
  /** Appends a line. Not durable at once: what a power cut takes is told again by the feed. */
  note(line: string): void;
}

/** A line about a change that was heard. */
export function changeNote(position: Position, change: Change): string {
  return JSON.stringify({ id: positionToText(position), change });
}

/**
 * A line that says until when nothing else had changed.
 *
 * @param at by the clock here, and not after it
 * @param said by the authority's clock, which is the last word on what time it was
 */
export function confirmNote(position: Position, at: number, said: number): string {
  return JSON.stringify({ id: positionToText(position), at, said });
}

/** A line that says what time it was here while nothing was heard. */
export function clockNote(clock: number): string {
  return JSON.stringify({ clock });
}

export interface StoredRules extends Omit<SnapshotRules, 'kept' | 'held' | 'known'> {
  /**
   * The clock stands before what was known of the time when this was kept. Who was taken back is known all the same; that nobody
   * else was counts as too old, until the authority is heard.
   */
  readonly onClockBack?: (seen: number) => void;
}

const LINE_OCTETS = 64 * 1024;
/** A clock may be set right by so much without making anybody doubt. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/**
 * What is on disk, with all that was noted behind the snapshot; undefined where there is nothing. How old it is goes by the
 * latest time that was seen before, where the clock stands before that.
 *
 * @throws BirthmarkError `snapshot-refused` where the snapshot is not to be believed any more
 */
export async function readStored(store: StatusStore, rules: StoredRules): Promise<ReadSnapshot | undefined> {
  const source = store.readSnapshot();
  if (!source) return undefined;
  const { at, steady, onClockBack } = rules;
  const stored = await readSnapshot(source, { ...rules, kept: true });
  const issuedAt = Date.parse(stored.header.issuedAt);
  const notes = store.readNotes();
  const noted = notes && (await takeNotes(notes, stored));
  const seen = Math.max(issuedAt, noted?.seen ?? issuedAt);
  if (at < seen - CLOCK_TOLERANCE_MS) {
    stored.table.doubt();
    onClockBack?.(seen);
    return stored;
  }
  const ageMs = Math.max(at, seen) - Math.max(issuedAt, noted?.confirmedAt ?? issuedAt);
  stored.table.date(steady.now() - ageMs);
  return stored;
}

interface Noted {
  /** When nothing else had changed, the latest. */
  confirmedAt: number | undefined;
  /** The latest time that was seen. */
  seen: number | undefined;
}

/** Notes of another epoch, and what a crash cut short, are passed over; behind a gap the feed goes on. */
async function takeNotes(source: AsyncIterable<Uint8Array>, { table, names }: ReadSnapshot): Promise<Noted> {
  const noted: Noted = { confirmedAt: undefined, seen: undefined };
  try {
    for await (const line of cutLines(source, LINE_OCTETS)) {
      const note = readNote(line.toString('utf8'));
      if (note?.clock !== undefined) noted.seen = Math.max(noted.seen ?? note.clock, note.clock);
      if (note?.position?.epoch !== table.position.epoch) continue;
      // The authority knows better than a clock here that once was ahead.
      if (note.said !== undefined) noted.seen = note.said;
      if (note.change && note.change.sequence > table.position.sequence) {
        table.apply(note.change);
        names?.take(note.change);
      } else if (note.at !== undefined && note.position.sequence === table.position.sequence)
        noted.confirmedAt = Math.max(noted.confirmedAt ?? note.at, note.at);
    }
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
  }
  return noted;
}

interface Note {
  readonly position?: Position;
  readonly change?: Change;
  readonly at?: number;
  readonly said?: number;
  readonly clock?: number;
}

function readNote(line: string): Note | undefined {
  try {
    const note: unknown = JSON.parse(line);
    if (typeof note !== 'object' || note === null) return undefined;
    if ('clock' in note) return typeof note.clock === 'number' ? { clock: note.clock } : undefined;
    if (!('id' in note)) return undefined;
    const position = parsePosition(String(note.id), 'id');
    if ('change' in note) return { position, change: parseChange(note.change, 'change') };
    if (!('at' in note) || typeof note.at !== 'number') return undefined;
    const said = 'said' in note && typeof note.said === 'number' ? note.said : note.at;
    return { position, at: note.at, said };
  } catch {
    return undefined;
  }
}
