import type { Position } from '../../broker-auth/status/position.ts';
import type { RevocationReads } from '../../ca/revocation/ports.ts';
import type { Clock } from '../../core/clock.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';

/** Where the ledger stood when it was looked at. */
export interface Seen extends Position {
  /** Milliseconds since the epoch of 1970: before the look, so that nothing older is missing. */
  readonly at: number;
  /** The same by the steady clock. */
  readonly steadyAt: number;
}

/** Knows the last change of a status, whichever process made it, as long as somebody listens. */
export interface StatusTail {
  /** Looks now. Throws what the ledger throws. */
  look(): Promise<Seen>;
  /** As of the last look. */
  readonly seen: Seen | undefined;
  /** Resolves with the next change, with the next beat, or when the listening ends. */
  next(): Promise<void>;
  /** To be called when this process has written something: looks at once, if anybody listens. */
  stir(): void;
  /** Begins to look again and again. The function that it gives ends that. */
  listen(): () => void;
  /** Ends it for everybody: who listens finds `closed`. */
  close(): void;
  readonly closed: boolean;
}

export interface StatusTailOptions {
  readonly ledger: Pick<RevocationReads, 'lastStatusChange' | 'statusEpoch'>;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly onFault: (error: unknown) => void;
  /** Between two looks: how late a change of another process may be heard of at most. */
  readonly lookEveryMs?: number;
  /** How often those who wait are woken although nothing happened. */
  readonly beatMs?: number;
}

const LOOK_EVERY_MS = 50;
/** Below the shortest idle timeout that a listener can have. */
const BEAT_MS = 2000;

/** One for each process: however many listen, the ledger is asked once. */
export function createStatusTail({
  ledger,
  clock,
  steady,
  onFault,
  lookEveryMs = LOOK_EVERY_MS,
  beatMs = BEAT_MS,
}: StatusTailOptions): StatusTail {
  const waiting = new Set<() => void>();
  let seen: Seen | undefined;
  let listeners = 0;
  let timers: readonly NodeJS.Timeout[] = [];
  let looking: Promise<Seen> | undefined;
  let stirred = false;
  let failed = false;
  let closed = false;

  const wake = () => {
    const all = [...waiting];
    waiting.clear();
    for (const resolve of all) resolve();
  };
  const lookOnce = async (): Promise<Seen> => {
    const at = clock();
    const steadyAt = steady.now();
    const [epoch, sequence] = await Promise.all([ledger.statusEpoch(), ledger.lastStatusChange()]);
    const changed = seen?.epoch !== epoch || seen.sequence !== sequence;
    const latest = { epoch, sequence, at, steadyAt };
    seen = latest;
    failed = false;
    if (changed) wake();
    return latest;
  };
  const look = (): Promise<Seen> => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const lookQuietly = () => {
    look().catch((error: unknown) => {
      if (!failed && !closed) onFault(error);
      failed = true;
    });
  };
  const rest = () => {
    for (const timer of timers) clearInterval(timer);
    timers = [];
  };
  return {
    look,
    get seen() {
      return seen;
    },
    next: () =>
      new Promise((resolve) => {
        if (closed) resolve();
        else waiting.add(resolve);
      }),
    stir() {
      if (listeners === 0 || stirred || closed) return;
      stirred = true;
      // A look that has begun may have been before the commit: another one follows it.
      setImmediate(() => {
        stirred = false;
        if (looking) looking.then(lookQuietly, lookQuietly);
        else lookQuietly();
      });
    },
    listen() {
      listeners += 1;
      if (timers.length === 0 && !closed)
        timers = [setInterval(lookQuietly, lookEveryMs), setInterval(wake, beatMs)];
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        listeners -= 1;
        if (listeners === 0) rest();
        // Whoever ended waits no longer.
        wake();
      };
    },
    close() {
      closed = true;
      rest();
      wake();
    },
    get closed() {
      return closed;
    },
  };
}
