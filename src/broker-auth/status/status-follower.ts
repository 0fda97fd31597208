import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { Trust } from '../../x509/path/trust.ts';
import type { AuthorityClient } from './authority-client.ts';
import { cutLines } from './cut-lines.ts';
import { readFeedEvents } from './feed-events.ts';
import { type Position, parsePosition, positionToText } from './position.ts';
import { readSnapshot } from './read-snapshot.ts';
import type { StatusTable } from './status-table.ts';
import { type Change, parseChange, type SnapshotHeader } from './wire.ts';

/** What the gate keeps on disk for the day on which the authority is away. */
export interface StatusStore {
  /** The snapshot that was kept last; undefined where there is none. */
  readSnapshot(): AsyncIterable<Uint8Array> | undefined;
  /** Writes a snapshot beside that while it is read; it replaces the other one with `keep`, and is gone with `drop`. */
  writeSnapshot(source: AsyncIterable<Uint8Array>): {
    readonly through: AsyncIterable<Uint8Array>;
    /** Durable when it resolves; forgets the changes that were noted before. */
    keep(): Promise<void>;
    drop(): Promise<void>;
  };
  /** What was noted since that snapshot. */
  readNotes(): AsyncIterable<Uint8Array> | undefined;
  /** Appends a line. Not durable at once: what a power cut takes is told again by the feed. */
  note(line: string): void;
}

/** What is known of statuses, all of it in memory. */
export interface KnownStatuses {
  readonly header: SnapshotHeader;
  readonly table: StatusTable;
}

export interface FollowerOptions {
  readonly authority: Pick<AuthorityClient, 'openFeed' | 'openSnapshot'>;
  readonly store: StatusStore;
  /** Who may have certified the signer of snapshots. */
  readonly trust: Trust;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** A status has changed. */
  readonly onChange: (change: Change) => void;
  /** All that is known was replaced: nobody says what has changed by that. */
  readonly onReplaced: (known: KnownStatuses) => void;
  /** It is tried again. */
  readonly onFault: (error: unknown) => void;
}

export interface StatusFollower {
  /** Undefined before there was a first snapshot. */
  readonly known: KnownStatuses | undefined;
  /** Whether the authority is heard at the moment. */
  readonly connected: boolean;
  /** Reads what is on disk, then begins to follow. Resolves after the first. */
  start(): Promise<void>;
  /** Asks for a snapshot soon, at most once a minute. */
  refresh(): void;
  stop(): Promise<void>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const NOTE_EVERY_MS = 5000;
const REFRESH_EVERY_MS = 60_000;

/**
 * Follows an authority's status feed from the place that is known, and fetches a snapshot where that is of no use, or is
 * half way to its end. A snapshot is on disk before it is used.
 */
export function createStatusFollower(options: FollowerOptions): StatusFollower {
  const { authority, store, trust, clock, random, onChange, onReplaced, onFault } = options;
  const stopping = new AbortController();
  let known: KnownStatuses | undefined;
  let connected = false;
  let wanted = false;
  /** What is known is of no use any more to go on from. */
  let broken = false;
  let triedAt = 0;
  let notedAt = 0;
  let running: Promise<void> | undefined;

  async function fetchSnapshot(): Promise<void> {
    triedAt = clock();
    const source = await authority.openSnapshot(stopping.signal);
    const writing = store.writeSnapshot(source);
    try {
      const held = known && {
        ...known.table.position,
        issuedAt: known.header.issuedAt,
      };
      const latest = await readSnapshot(writing.through, { trust, at: clock(), ...(held && { held }) });
      await writing.keep();
      known = latest;
    } catch (error) {
      await writing.drop();
      throw error;
    }
    wanted = false;
    broken = false;
    onReplaced(known);
  }

  function isDue(): boolean {
    if (!known || broken) return true;
    const at = clock();
    if (at - triedAt < REFRESH_EVERY_MS) return false;
    const [from, to] = [Date.parse(known.header.issuedAt), Date.parse(known.header.validUntil)];
    return wanted || at >= from + (to - from) / 2;
  }

  /** Who knows something goes on with it where there is no snapshot to be had. */
  async function renew(): Promise<KnownStatuses | undefined> {
    try {
      await fetchSnapshot();
    } catch (error) {
      if (!known || broken || stopping.signal.aborted) throw error;
      onFault(error);
    }
    return known;
  }

  /** Until the feed ends, or a snapshot is due. */
  async function follow({ table }: KnownStatuses): Promise<void> {
    const leaving = new AbortController();
    const source = await authority.openFeed(
      table.position,
      AbortSignal.any([stopping.signal, leaving.signal]),
    );
    try {
      for await (const event of readFeedEvents(source)) {
        if (event?.kind === 'change') {
          table.apply(event.change);
          store.note(JSON.stringify({ id: positionToText(event.position), change: event.change }));
          onChange(event.change);
        } else if (event?.kind === 'position') {
          confirm(table, event.position, event.at);
          connected = true;
          if (isDue()) return;
        } else if (event?.kind === 'reset') {
          throw new BirthmarkError('feed-broken', 'the ledger of the authority is another one now');
        }
      }
    } finally {
      connected = false;
      leaving.abort();
    }
  }

  function confirm(table: StatusTable, position: Position, told: number): void {
    // A clock that is ahead must not make old knowledge look fresh.
    const at = Math.min(told, clock());
    table.confirm(position, at);
    if (at - notedAt < NOTE_EVERY_MS) return;
    notedAt = at;
    store.note(JSON.stringify({ id: positionToText(position), at }));
  }

  async function run(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!stopping.signal.aborted) {
      const before = known?.table.asOf;
      try {
        const latest = isDue() ? await renew() : known;
        if (latest) await follow(latest);
        if (isDue()) continue;
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (error instanceof BirthmarkError && error.code === 'feed-broken') broken = true;
        onFault(error);
      }
      if (known?.table.asOf !== before) pauseMs = FIRST_PAUSE_MS;
      const [chance = 0] = random(1);
      await pause(pauseMs * (0.5 + chance / 510), stopping.signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  async function readStore(): Promise<void> {
    const source = store.readSnapshot();
    if (!source) return;
    try {
      known = await readSnapshot(source, { trust, at: clock() });
      await readNotes(store.readNotes(), known.table, clock());
      onReplaced(known);
    } catch (error) {
      onFault(error);
    }
  }

  return {
    get known() {
      return known;
    },
    get connected() {
      return connected;
    },
    async start() {
      await readStore();
      running = run();
    },
    refresh() {
      wanted = true;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Notes of another snapshot, and what a crash cut short, are passed over; behind a gap the feed goes on. */
async function readNotes(
  source: AsyncIterable<Uint8Array> | undefined,
  table: StatusTable,
  now: number,
): Promise<void> {
  if (!source) return;
  for await (const line of cutLines(source, LINE_OCTETS)) {
    const note = readNote(line.toString('utf8'));
    if (!note || note.position.epoch !== table.position.epoch) continue;
    try {
      if (note.change) table.apply(note.change);
      else table.confirm(note.position, Math.min(note.at, now));
    } catch (error) {
      if (error instanceof BirthmarkError && error.code === 'feed-broken') return;
      throw error;
    }
  }
}

const LINE_OCTETS = 64 * 1024;

interface Note {
  readonly position: Position;
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

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}
