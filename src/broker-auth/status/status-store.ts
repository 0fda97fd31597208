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

/** A line that says until when nothing else had changed. */
export function confirmNote(position: Position, at: number): string {
  return JSON.stringify({ id: positionToText(position), at });
}

/**
 * What is on disk, with all that was noted behind the snapshot; undefined where there is nothing.
 *
 * @throws BirthmarkError `snapshot-refused` where the snapshot is not to be believed any more
 */
export async function readStored(
  store: StatusStore,
  rules: SnapshotRules,
): Promise<ReadSnapshot | undefined> {
  const source = store.readSnapshot();
  if (!source) return undefined;
  const stored = await readSnapshot(source, rules);
  const notes = store.readNotes();
  if (notes) await takeNotes(notes, stored, rules.at);
  return stored;
}

const LINE_OCTETS = 64 * 1024;

/** Notes of another epoch, and what a crash cut short, are passed over; behind a gap the feed goes on. */
async function takeNotes(
  source: AsyncIterable<Uint8Array>,
  { table, names }: ReadSnapshot,
  now: number,
): Promise<void> {
  try {
    for await (const line of cutLines(source, LINE_OCTETS)) {
      const note = readNote(line.toString('utf8'));
      if (note?.position.epoch !== table.position.epoch) continue;
      if (note.change && note.change.sequence > table.position.sequence) {
        table.apply(note.change);
        names?.take(note.change);
      } else if (note.position.sequence === table.position.sequence)
        table.confirm(note.position, Math.min(note.at, now));
    }
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
  }
}

interface Note {
  readonly position: Position;
  /** 0 for a change. */
  readonly at: number;
  readonly change?: Change;
}

function readNote(line: string): Note | undefined {
  try {
    const note: unknown = JSON.parse(line);
    if (typeof note !== 'object' || note === null || !('id' in note)) return undefined;
    const position = parsePosition(String(note.id), 'id');
    if ('change' in note) return { position, at: 0, change: parseChange(note.change, 'change') };
    return 'at' in note && typeof note.at === 'number' ? { position, at: note.at } : undefined;
  } catch {
    return undefined;
  }
}
