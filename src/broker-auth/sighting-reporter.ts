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

/** What `POST /api/v1/sightings` takes. */
export interface SightingReport {
  readonly seen: readonly (SeenReport & { readonly listener: string })[];
  readonly enforced: readonly SeenReport[];
}

export interface ReporterOptions {
  readonly gate: Pick<Gate, 'sessions'>;
  /** Rejects where it did not arrive: it is told again. */
  readonly send: (report: SightingReport) => Promise<void>;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
}

/** Tells the authority what the gate sees, in the background. */
export interface SightingReporter {
  /** A session was let in. */
  seen(session: Session): void;
  /** A certificate was taken back, and the gate has been told so: enforced once none of these sessions is left. */
  takenBack(id: Pick<CredentialId, 'issuerKeyId' | 'serial'>, standing: readonly Session[]): void;
  /** Sends what is there, if anything is. To be called each second, and when sessions have ended. */
  tick(): void;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** What was told of so many is remembered, so that a credential is told of once. */
const REMEMBERED = 100_000;
const MOST_SEEN = 20_000;
/** Nobody sees them again; some 250 octets each. */
const MOST_ENFORCED = 200_000;
const AT_ONCE = 500;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Batches, and tries again until it arrives. Its memory is bounded: what does not fit is dropped, the oldest sight first, since a
 * device that comes again is seen again.
 */
export function createSightingReporter({ gate, send, clock, onFault }: ReporterOptions): SightingReporter {
  const told = new LRUCache<string, true>({ max: REMEMBERED });
  const seen = new Map<string, SightingReport['seen'][number]>();
  const enforced = new Map<string, SeenReport>();
  const ending = new Map<
    string,
    { readonly id: Pick<SeenReport, 'issuerKeyId' | 'serial'>; left: readonly Session[] }
  >();
  let sending: Promise<void> | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  let notBefore = 0;

  const now = () => new Date(clock()).toISOString();

  function settle(): void {
    for (const [key, one] of ending) {
      one.left = one.left.filter((session) => gate.sessions.get(session) === session);
      if (one.left.length > 0) continue;
      ending.delete(key);
      put(enforced, key, { ...one.id, at: now() }, MOST_ENFORCED);
    }
  }

  async function sendAll(): Promise<void> {
    do await sendSome();
    while (notBefore === 0 && (seen.size >= AT_ONCE || enforced.size >= AT_ONCE));
  }

  async function sendSome(): Promise<void> {
    const [some, others] = [[...seen.entries().take(AT_ONCE)], [...enforced.entries().take(AT_ONCE)]];
    try {
      await send({ seen: some.map(([, one]) => one), enforced: others.map(([, one]) => one) });
      for (const [key] of some) {
        seen.delete(key);
        told.set(key, true);
      }
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
      const key = keyOf(leaf);
      if (told.has(key) || seen.has(key)) return;
      put(seen, key, { issuerKeyId, serial, at: now(), listener }, MOST_SEEN);
    },
    takenBack({ issuerKeyId, serial }, standing) {
      const key = keyOf({ issuerKeyId, serial });
      if (standing.length === 0) put(enforced, key, { issuerKeyId, serial, at: now() }, MOST_ENFORCED);
      else put(ending, key, { id: { issuerKeyId, serial }, left: standing }, MOST_ENFORCED);
    },
    tick() {
      settle();
      if (sending || (seen.size === 0 && enforced.size === 0) || clock() < notBefore) return;
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

function keyOf({ issuerKeyId, serial }: Pick<CredentialId, 'issuerKeyId' | 'serial'>): string {
  return `${issuerKeyId}/${serial}`;
}
