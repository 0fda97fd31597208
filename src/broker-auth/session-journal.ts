import { BirthmarkError } from '../core/errors.ts';
import {
  begunLine,
  endedLine,
  headerLine,
  type KeptSession,
  parseSessionLine,
  toKeptSession,
} from './kept-session.ts';
import type { SessionFile, SessionMemory, SessionStore } from './ports.ts';
import type { Session } from './sessions.ts';
import { cutLines } from './status/cut-lines.ts';

export interface SessionJournal extends SessionMemory {
  /** Resolves when all that was told is durable, or could not be written. */
  settled(): Promise<void>;
  /** Writes what is left. */
  stop(): Promise<void>;
}

export interface JournalOptions {
  readonly store: SessionStore;
  /** `rulesDigest` of the policy by which sessions are allowed now. */
  readonly rules: string;
  /** Told that a disk takes nothing; it is tried again, with all that is live then. */
  readonly onFault: (error: unknown) => void;
  /** After how long it is tried again: 5 s where it is not given. */
  readonly againAfterMs?: number;
}

/** Lines that are written at once, between which everything else runs. */
const BATCH = 500;
/** The file is written anew when it has so many lines that say nothing any more, and more of them than live sessions. */
const SPARE_LINES = 10_000;
const SYNC_WITHIN_MS = 1000;
const AGAIN_AFTER_MS = 5000;

type Told = { readonly begun: KeptSession } | { readonly ended: Session };

/** Keeps the live sessions of a gate in a file, for its next start. Whoever tells it something waits for nothing. */
export function createSessionJournal(options: JournalOptions): SessionJournal {
  const { store, rules, onFault, againAfterMs = AGAIN_AFTER_MS } = options;
  const live = new Map<Session, KeptSession>();
  let told: Told[] = [];
  let file: SessionFile | undefined;
  let lines = 0;
  let isDirty = false;
  /** Nothing of it is believed any more: it is written anew. */
  let isStale = false;
  let working: Promise<void> | undefined;
  let again: NodeJS.Timeout | undefined;
  let syncing: NodeJS.Timeout | undefined;

  function tell(one: Told): void {
    // What a broken disk missed is in what is written anew.
    if (again) return;
    told.push(one);
    wake();
  }

  function wake(): void {
    if (again) return;
    working ??= work().finally(() => {
      working = undefined;
      if (isStale || told.length > 0) wake();
    });
  }

  async function work(): Promise<void> {
    // A storm of connections is written in few pieces.
    await Promise.resolve();
    try {
      while (isStale || told.length > 0) {
        if (isStale || !file || lines > 2 * live.size + SPARE_LINES) await rewrite();
        else await append(file, take());
      }
    } catch (error) {
      fail(error);
    }
    if (isDirty && !syncing) syncing = setTimeout(syncSoon, SYNC_WITHIN_MS).unref();
  }

  function take(): string {
    const some = told.slice(0, BATCH);
    told = told.slice(BATCH);
    lines += some.length;
    return some.map((one) => ('begun' in one ? begunLine(one.begun) : endedLine(one.ended))).join('');
  }

  async function append(to: SessionFile, text: string): Promise<void> {
    isDirty = true;
    await to.append(text);
  }

  /** What is told meanwhile goes to both files: whichever is read next has it. */
  async function rewrite(): Promise<void> {
    const before = file;
    const all = [...live.values()];
    told = [];
    isStale = false;
    lines = all.length;
    const next = await store.begin();
    try {
      await next.append(headerLine(rules));
      const meanwhile: string[] = [];
      for (let at = 0; at < all.length; at += BATCH) {
        await next.append(
          all
            .slice(at, at + BATCH)
            .map(begunLine)
            .join(''),
        );
        while (before && told.length > 0) {
          const text = take();
          meanwhile.push(text);
          await before.append(text);
        }
      }
      for (const text of meanwhile) await next.append(text);
      await next.publish();
    } catch (error) {
      await next.close().catch(() => undefined);
      throw error;
    }
    file = next;
    isDirty = false;
    await before?.close();
  }

  function fail(error: unknown): void {
    onFault(error);
    file?.close().catch(() => undefined);
    file = undefined;
    told = [];
    isStale = false;
    again = setTimeout(() => {
      again = undefined;
      isStale = true;
      wake();
    }, againAfterMs).unref();
  }

  function syncSoon(): void {
    syncing = undefined;
    sync().catch(fail);
  }

  async function sync(): Promise<void> {
    if (!isDirty || !file) return;
    isDirty = false;
    await file.sync();
  }

  async function settled(): Promise<void> {
    while (working !== undefined) await working;
    await sync().catch(fail);
  }

  return {
    begun(kept) {
      live.set(kept.session, kept);
      tell({ begun: kept });
    },
    ended(session) {
      if (live.delete(session)) tell({ ended: session });
    },
    settled,
    async stop() {
      await settled();
      clearTimeout(again);
      clearTimeout(syncing);
      await file?.close();
      file = undefined;
    },
  };
}

export interface RememberedSessions {
  readonly sessions: readonly KeptSession[];
  /** They were allowed by the rules of now. */
  readonly sameRules: boolean;
  /** Lines that nobody can read: what a crash cut short, or worse. */
  readonly unread: number;
}

const LINE_OCTETS = 1024 * 1024;

/** What was live when the process before this one ended. What cannot be read is counted and passed over. */
export async function readSessions(store: SessionStore, rules: string): Promise<RememberedSessions> {
  const sessions = new Map<string, KeptSession>();
  let written: string | undefined;
  let unread = 0;
  try {
    for await (const line of cutLines(store.read() ?? nothing(), LINE_OCTETS)) {
      if (line.length === 0) continue;
      const read = readLine(line.toString('utf8'));
      if (!read) unread += 1;
      else if ('format' in read) written = read.rules;
      else if ('begun' in read) {
        const kept = toKeptSession(read.begun);
        sessions.set(keyOf(kept.session), kept);
      } else if (sessions.get(keyOf(read.ended))?.session.since === read.ended.since)
        sessions.delete(keyOf(read.ended));
    }
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    unread += 1;
  }
  return { sessions: [...sessions.values()], sameRules: written === rules, unread };
}

function readLine(line: string) {
  try {
    return parseSessionLine(line);
  } catch {
    return undefined;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function keyOf({ broker, clientId }: Pick<Session, 'broker' | 'clientId'>): string {
  return `${broker}\n${clientId}`;
}
