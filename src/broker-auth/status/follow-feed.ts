import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import type { Trust } from '../../x509/path/trust.ts';
import { type AuthorityOptions, createAuthorityClient } from './authority-client.ts';
import { type FeedEvent, readFeedEvents } from './feed-events.ts';
import { type ReadSnapshot, readSnapshot } from './read-snapshot.ts';
import { changeNote, clockNote, confirmNote, type StatusStore } from './status-store.ts';
import type { StatusTable } from './status-table.ts';
import type { Change } from './wire.ts';

export interface FollowOptions extends AuthorityOptions {
  /** Who may have certified the signer of snapshots. */
  readonly trust: Trust;
  readonly clock: Clock;
  /** Made of that clock and a monotonic one: how old knowledge is goes by it. */
  readonly steady: SteadyClock;
  readonly random: RandomBytes;
  /** What is known from before, as `readStored` has it. */
  readonly start?: ReadSnapshot;
  /** Where snapshots are kept, each before it is used, and what is heard after them. */
  readonly store?: StatusStore;
  /** Know the devices too: for brokers that show a name only. */
  readonly holders?: boolean;
  /** Told of a table that comes from a snapshot: what is denied may have changed in any way. */
  readonly onTable?: (table: StatusTable) => void;
  /** Told of a change that the table has taken. */
  readonly onChange?: (change: Change) => void;
  /** Told why it must begin again. It goes on by itself. */
  readonly onFault: (error: unknown) => void;
}

export interface Following {
  /** Undefined until the first snapshot was read. How fresh it is, it says itself. */
  readonly table: StatusTable | undefined;
  /** The table with what came beside it. */
  readonly known: ReadSnapshot | undefined;
  /** Whether the authority is heard at the moment. */
  readonly connected: boolean;
  /** Asks for a snapshot soon, at most one a minute. */
  refresh(): void;
  /** Resolves when it has stopped. */
  stop(): Promise<void>;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
const SNAPSHOT_EVERY_MS = 60_000;
const NOTE_EVERY_MS = 5000;
/** While nothing is heard: a clock that was set back meanwhile is known by it at the next start. */
const CLOCK_EVERY_MS = 60_000;

/**
 * Keeps a table up to date for as long as it is wanted: a snapshot to begin with, then the feed, from the last event again
 * after each break, and another snapshot where the feed says that the place is lost, or half the time of the one before is
 * over. What was known stays until then.
 *
 * @throws BirthmarkError `config-invalid` for plain HTTP to another machine
 */
export function followFeed(options: FollowOptions): Following {
  const { trust, clock, steady, random, start, store, holders = false, onTable, onChange, onFault } = options;
  const authority = createAuthorityClient(options);
  const stopping = new AbortController();
  const { signal } = stopping;
  let known: ReadSnapshot | undefined = start;
  let isLost = start === undefined;
  let isWanted = false;
  let isConnected = false;
  let failures = 0;
  let triedAt = Number.NEGATIVE_INFINITY;
  let notedAt = Number.NEGATIVE_INFINITY;

  const isDue = () => {
    if (isLost || !known) return true;
    const at = clock();
    if (steady.now() - triedAt < SNAPSHOT_EVERY_MS) return false;
    const [from, to] = [Date.parse(known.header.issuedAt), Date.parse(known.header.validUntil)];
    return isWanted || at >= from + (to - from) / 2;
  };
  const fetchSnapshot = async () => {
    triedAt = steady.now();
    const held = known && { ...known.table.position, issuedAt: known.header.issuedAt };
    const octets = await authority.openSnapshot(signal, holders);
    const kept = store?.writeSnapshot(octets);
    try {
      const rules = {
        trust,
        at: clock(),
        steady,
        holders,
        ...(known && held && { known: known.table, held }),
      };
      const latest = await readSnapshot(kept?.through ?? octets, rules);
      await kept?.keep();
      store?.note(clockNote(clock()));
      known = latest;
    } catch (error) {
      await kept?.drop();
      throw error;
    }
    isLost = false;
    isWanted = false;
    onTable?.(known.table);
    return known;
  };
  /** Who knows something goes on with it where no other snapshot is to be had. */
  const renew = async () => {
    try {
      return await fetchSnapshot();
    } catch (error) {
      if (isLost || !known || signal.aborted) throw error;
      onFault(error);
      return known;
    }
  };
  const take = ({ table, names }: ReadSnapshot, event: FeedEvent) => {
    if (event.kind === 'position') {
      // A clock that is ahead must not make old knowledge look fresh.
      const at = Math.min(event.at, clock());
      table.confirm(event.position, steady.of(at));
      if (store && steady.now() - notedAt >= NOTE_EVERY_MS) {
        store.note(confirmNote(event.position, at, event.at));
        notedAt = steady.now();
      }
    }
    if (event.kind === 'change') {
      if (event.position.epoch !== table.position.epoch)
        throw new BirthmarkError('feed-broken', 'a change came of another epoch');
      if (event.change.sequence <= table.position.sequence) return;
      table.apply(event.change);
      names?.take(event.change);
      // Enforced first: what cannot be noted is told again by the feed.
      onChange?.(event.change);
      store?.note(changeNote(event.position, event.change));
    }
  };
  const follow = async () => {
    const latest = isDue() || !known ? await renew() : known;
    const leaving = new AbortController();
    try {
      const both = AbortSignal.any([signal, leaving.signal]);
      for await (const event of readFeedEvents(await authority.openFeed(latest.table.position, both))) {
        if (event?.kind === 'reset') {
          isLost = true;
          return;
        }
        if (!event) continue;
        take(latest, event);
        failures = 0;
        isConnected = true;
        if (event.kind === 'position' && isDue()) return;
      }
    } finally {
      isConnected = false;
      leaving.abort();
    }
  };
  const run = async () => {
    while (!signal.aborted) {
      try {
        await follow();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof BirthmarkError && error.code === 'feed-broken') isLost = true;
        onFault(error);
      }
      // Many gates lose one authority at the same moment, and must not all come back at another.
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
      failures += 1;
      const part = 0.5 + (random(1)[0] ?? 0) / 512;
      await sleep(pause * part, undefined, { signal }).catch(() => undefined);
    }
  };
  const noteClock = () => {
    if (!known || steady.now() - notedAt < NOTE_EVERY_MS) return;
    try {
      store?.note(clockNote(clock()));
    } catch (error) {
      onFault(error);
    }
  };
  const clockTimer = setInterval(noteClock, CLOCK_EVERY_MS).unref();
  const done = run();
  return {
    get table() {
      return known?.table;
    },
    get known() {
      return known;
    },
    get connected() {
      return isConnected;
    },
    refresh: () => {
      isWanted = true;
    },
    stop: () => {
      stopping.abort();
      clearInterval(clockTimer);
      return done;
    },
  };
}
