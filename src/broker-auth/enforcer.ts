import type { Clock } from '../core/clock.ts';
import type { EndCause, KickDriver } from './ports.ts';
import type { Session, Sessions } from './sessions.ts';

export interface EnforcerOptions {
  readonly sessions: Sessions;
  readonly drivers: readonly KickDriver[];
  readonly clock: Clock;
  /** Told when the broker has them no more. */
  readonly onEnded?: (ended: readonly Session[], cause: EndCause, at: number) => void;
  /** Told when a broker could not be reached or did not let go; it is tried again. */
  readonly onError: (error: unknown, broker: string, sessions: number) => void;
}

export interface Enforcer {
  /**
   * Ends sessions, and does not rest before their broker has let them go.
   *
   * @param barred their devices have nothing to come back with
   */
  end(sessions: readonly Session[], cause: EndCause, barred?: boolean): void;
  /** Resolves when nothing is left to end, for a shutdown and for tests. */
  settled(): Promise<void>;
  stop(): void;
}

/** The first look whether a session is gone, and the longest pause between two. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/**
 * Ends sessions at their brokers: tells the broker, looks whether it has let go, and tells it again until it has. A session
 * that was replaced meanwhile by one that was allowed afresh is left alone.
 */
export function createEnforcer({ sessions, drivers, clock, onEnded, onError }: EnforcerOptions): Enforcer {
  const byBroker = new Map(drivers.map((driver) => [driver.broker, driver]));
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();

  async function endAt(
    driver: KickDriver,
    asked: readonly Session[],
    cause: EndCause,
    barred: boolean,
  ): Promise<void> {
    const scope = { barred, isCurrent };
    let left = asked;
    for (let pauseMs = FIRST_PAUSE_MS; left.length > 0; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      let live: ReadonlySet<Session> = new Set(left);
      try {
        await driver.kick(left, cause, scope);
        live = new Set(await driver.stillLive(left));
      } catch (error) {
        onError(error, driver.broker, left.length);
      }
      const kept = new Set(left.filter((session) => live.has(session) || isYoung(driver, session)));
      const gone = left.filter((session) => !kept.has(session));
      for (const session of gone) forget(session);
      if (gone.length > 0) onEnded?.(gone, cause, clock());
      left = [...kept];
      if (left.some(isCurrent) && !(await pause(pauseMs))) return;
      // Who came back meanwhile and was allowed is not to be ended for what was there before.
      left = left.filter(isCurrent);
    }
  }

  /** Our answer may still be on its way to the broker: that it knows no such session says nothing yet. */
  function isYoung({ listsWithinMs = 0 }: KickDriver, { since }: Session): boolean {
    const age = clock() - since;
    return age >= 0 && age < listsWithinMs;
  }

  function forget(session: Session): void {
    if (isCurrent(session)) sessions.remove(session);
  }

  /** Absent is current too: its place was given up before the broker said that it is gone. */
  function isCurrent(session: Session): boolean {
    const now = sessions.get(session);
    return now === undefined || now === session;
  }

  function pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const stop = () => {
        clearTimeout(timer);
        resolve(false);
      };
      const timer = setTimeout(() => {
        stopping.signal.removeEventListener('abort', stop);
        resolve(!stopping.signal.aborted);
      }, ms);
      if (stopping.signal.aborted) stop();
      else stopping.signal.addEventListener('abort', stop, { once: true });
    });
  }

  return {
    end(ended, cause, barred = false) {
      for (const [broker, group] of Map.groupBy(ended, (session) => session.broker)) {
        const driver = byBroker.get(broker);
        if (!driver) {
          onError(new Error(`there is no way to end a session of broker ${broker}`), broker, group.length);
          continue;
        }
        const run = endAt(driver, group, cause, barred).finally(() => running.delete(run));
        running.add(run);
      }
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
    },
    stop: () => stopping.abort(),
  };
}
