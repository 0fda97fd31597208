import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import type { CredentialId } from './credential.ts';
import type { Gate } from './gate.ts';
import type { Session } from './sessions.ts';

export interface SeenReport {
  readonly issuerKeyId: string;
  readonly serial: string;
  /** RFC 3339. */
  readonly at: string;
}

export interface SeenAtListener extends SeenReport {
  readonly listener: string;
}

/** What `POST /api/v1/sightings` takes. */
export interface SightingReport {
  readonly seen: readonly SeenAtListener[];
  readonly enforced: readonly SeenReport[];
  /** Denied because they were taken back, by who proved their keys. */
  readonly refused: readonly SeenAtListener[];
  /** By the same clock as the other times. */
  readonly sentAt: string;
}

type Name = Pick<CredentialId, 'issuerKeyId' | 'serial'>;

export interface ReporterOptions {
  readonly gate: Pick<Gate, 'sessions'>;
  /** Rejects where it did not arrive: it is told again. */
  readonly send: (report: SightingReport) => Promise<void>;
  /** How long after it was told a credential's CONNECT is told again. */
  readonly resightMs: number;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
}

/** Tells the authority what the gate sees, in the background. */
export interface SightingReporter {
  /** A session was let in. */
  seen(session: Session): void;
  /** A CONNECT was denied because its certificate was taken back, and the handshake had proved its key. */
  refused(credential: Name, listener: string): void;
  /** A certificate was taken back, and the gate has been told so: enforced once none of these sessions is left. */
  takenBack(id: Name, standing: readonly Session[]): void;
  /** Sends what is there, if anything is. To be called each second, and when sessions have ended. */
  tick(): void;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** When each of so many was told is remembered. */
const REMEMBERED = 100_000;
const MOST_SEEN = 20_000;
/** Nobody sees them again; some 250 octets each. */
const MOST_ENFORCED = 200_000;
const AT_ONCE = 500;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** CONNECTs to tell, each credential's once in a while: the last of those that came meanwhile is told when its time comes. */
interface Retold {
  readonly waiting: ReadonlyMap<string, SeenAtListener>;
  put(key: string, seen: SeenAtListener): void;
  /** Moves on what has waited long enough. */
  settle(): void;
  told(key: string, seen: SeenAtListener): void;
}

function retold(resightMs: number, clock: Clock): Retold {
  const toldAt = new LRUCache<string, number>({ max: REMEMBERED });
  const waiting = new Map<string, SeenAtListener>();
  const later = new Map<string, SeenAtListener>();
  let lookAt = 0;
  const isEarly = (key: string) => {
    const at = toldAt.get(key);
    // A clock that went back must not keep it quiet.
    return at !== undefined && Math.abs(clock() - at) < resightMs;
  };
  return {
    waiting,
    put(key, seen) {
      put(isEarly(key) ? later : waiting, key, seen, MOST_SEEN);
    },
    settle() {
      const now = clock();
      if (later.size === 0 || Math.abs(now - lookAt) < Math.min(resightMs, 5000)) return;
      lookAt = now;
      for (const [key, seen] of later) {
        if (isEarly(key)) continue;
        later.delete(key);
        put(waiting, key, seen, MOST_SEEN);
      }
    },
    told(key, seen) {
      toldAt.set(key, clock());
      const now = waiting.get(key);
      waiting.delete(key);
      if (now && now !== seen) put(later, key, now, MOST_SEEN);
    },
  };
}

/**
 * Batches, and tries again until it arrives. Its memory is bounded: what does not fit is dropped, the oldest sight first, since a
 * device that comes again is seen again.
 */
export function createSightingReporter(options: ReporterOptions): SightingReporter {
  const { gate, send, resightMs, clock, onFault } = options;
  const seen = retold(resightMs, clock);
  const refused = retold(resightMs, clock);
  const enforced = new Map<string, SeenReport>();
  const ending = new Map<string, { readonly id: Name; left: readonly Session[] }>();
  let sending: Promise<void> | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  let notBefore = 0;

  const now = () => new Date(clock()).toISOString();

  function settle(): void {
    seen.settle();
    refused.settle();
    for (const [key, one] of ending) {
      one.left = one.left.filter((session) => gate.sessions.get(session) === session);
      if (one.left.length > 0) continue;
      ending.delete(key);
      put(enforced, key, { ...one.id, at: now() }, MOST_ENFORCED);
    }
  }

  async function sendAll(): Promise<void> {
    do await sendSome();
    while (notBefore === 0 && [seen.waiting, refused.waiting, enforced].some(({ size }) => size >= AT_ONCE));
  }

  async function sendSome(): Promise<void> {
    const some = [...seen.waiting.entries().take(AT_ONCE)];
    const turnedAway = [...refused.waiting.entries().take(AT_ONCE)];
    const others = [...enforced.entries().take(AT_ONCE)];
    const valuesOf = <T>(entries: readonly (readonly [string, T])[]) => entries.map(([, one]) => one);
    try {
      await send({
        seen: valuesOf(some),
        enforced: valuesOf(others),
        refused: valuesOf(turnedAway),
        sentAt: now(),
      });
      for (const [key, one] of some) seen.told(key, one);
      for (const [key, one] of turnedAway) refused.told(key, one);
      // Taken back, released and taken back again while it was on its way: that is told too.
      for (const [key, one] of others) if (enforced.get(key) === one) enforced.delete(key);
      pauseMs = FIRST_PAUSE_MS;
      notBefore = 0;
    } catch (error) {
      notBefore = clock() + pauseMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      onFault(error);
    }
  }

  return {
    seen({ credentials: [leaf], listener }) {
      if (!leaf) return;
      const { issuerKeyId, serial } = leaf;
      seen.put(keyOf(leaf), { issuerKeyId, serial, at: now(), listener });
    },
    refused({ issuerKeyId, serial }, listener) {
      refused.put(keyOf({ issuerKeyId, serial }), { issuerKeyId, serial, at: now(), listener });
    },
    takenBack({ issuerKeyId, serial }, standing) {
      const key = keyOf({ issuerKeyId, serial });
      if (standing.length === 0) put(enforced, key, { issuerKeyId, serial, at: now() }, MOST_ENFORCED);
      else put(ending, key, { id: { issuerKeyId, serial }, left: standing }, MOST_ENFORCED);
    },
    tick() {
      settle();
      const waiting = seen.waiting.size + refused.waiting.size + enforced.size;
      if (sending || waiting === 0 || clock() < notBefore) return;
      sending = sendAll().finally(() => {
        sending = undefined;
      });
    },
    async stop() {
      await sending;
    },
  };
}

function put<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.set(key, value);
  if (map.size <= most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

function keyOf({ issuerKeyId, serial }: Name): string {
  return `${issuerKeyId}/${serial}`;
}
