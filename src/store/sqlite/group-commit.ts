import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import type { LedgerRecord } from './record/ledger-record.ts';
import { isBusy, ledgerBusy, ledgerClosed, translateError } from './translate-error.ts';

/** One commit, for metrics. */
export interface CommitFacts {
  /** Works that were done in it. */
  readonly works: number;
  /** From the transaction's begin to its end, milliseconds: for so long every other writer waited. */
  readonly heldMs: number;
  /** The part of it that the commit took, which is mostly the disk's. */
  readonly commitMs: number;
}

export interface GroupCommitOptions {
  /** How long a work may wait for other processes before it fails with `ledger-busy`. */
  readonly busyTimeoutMs: number;
  readonly onCommit?: ((facts: CommitFacts) => void) | undefined;
  /** What is committed is in it before. */
  readonly record?: LedgerRecord | undefined;
}

export interface GroupCommit {
  /** Runs the work in a transaction that it may share with others; see `UnitOfWork`. */
  write<T>(work: () => Promise<T>): Promise<T>;
  /** Runs one call of the work that is running; when it fails, so does the work, even if the work catches it. */
  call<T>(act: () => T): Promise<T>;
  /** Refuses works from now on, and those that wait. */
  close(): void;
}

/** No further work joins a transaction that is this old, so that others wait for 20 ms at most, the sync aside. */
const JOIN_MS = 10;
/** Who held the lock for so long without a rest lets others have it: they look for it every millisecond. */
const HOG_MS = 20;
const REST_MS = 2;
const RETRY_MS = 1;

interface Job {
  /** Runs the work; afterwards `resolve` or `reject` tells whoever asked. */
  run(): Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Queues works and runs all that wait in one transaction, one after another, each in a savepoint: many acts, one sync
 * to the disk. Nothing sleeps: where another process writes, the begin is tried again a millisecond later.
 *
 * @param db a connection with a busy timeout of 0 that nobody else writes with
 */
export function groupCommit(
  db: Database,
  { busyTimeoutMs, onCommit, record }: GroupCommitOptions,
): GroupCommit {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT work');
  const release = db.prepare('RELEASE work');
  const undo = db.prepare('ROLLBACK TO work');

  const queue: Job[] = [];
  let draining = false;
  let closed = false;
  /** The work that runs, and the first call of it that failed. */
  let running: { failure: { readonly error: unknown } | undefined } | undefined;
  let heldMs = 0;
  let freeSince = 0;

  async function drain(): Promise<void> {
    draining = true;
    // All that arrives in this turn of the event loop shares the first transaction.
    await setImmediate();
    while (queue.length > 0) {
      if (!(await beginTransaction())) continue;
      const begun = performance.now();
      if (begun - freeSince > REST_MS) heldMs = 0;
      await runTransaction(begun);
      freeSince = performance.now();
      heldMs += freeSince - begun;
      if (heldMs > HOG_MS) await setTimeout(REST_MS);
      else await setImmediate();
    }
    draining = false;
  }

  /** Returns false when the works that waited were refused instead. */
  async function beginTransaction(): Promise<boolean> {
    const deadline = performance.now() + busyTimeoutMs;
    while (queue.length > 0) {
      try {
        begin.run();
        record?.agree();
        return true;
      } catch (error) {
        if (db.inTransaction) rollback.run();
        if (!isBusy(error)) refuse(translateError(error));
        else if (performance.now() >= deadline) refuse(ledgerBusy(error));
        else await setTimeout(RETRY_MS);
      }
    }
    return false;
  }

  function refuse(error: unknown): void {
    for (const job of queue.splice(0)) job.reject(error);
  }

  async function runTransaction(begun: number): Promise<void> {
    const done: Job[] = [];
    do {
      const job = queue.shift();
      if (!job) break;
      // The first has the transaction for itself so far: to undo it is to undo the transaction.
      const alone = done.length === 0;
      const mark = record?.mark() ?? 0;
      try {
        if (!alone) savepoint.run();
        await runJob(job);
        if (!alone) release.run();
        done.push(job);
      } catch (error) {
        // A full disk or an I/O error makes SQLite roll all of it back by itself.
        const othersStand = db.inTransaction && undoJob(alone);
        record?.undoTo(mark);
        const translated = translateError(error);
        for (const other of othersStand ? [] : done) other.reject(translated);
        job.reject(translated);
        if (!db.inTransaction) return;
      }
    } while (performance.now() - begun < JOIN_MS);
    commitTransaction(done, begun);
  }

  /** Returns whether what the others did still stands. */
  function undoJob(alone: boolean): boolean {
    try {
      if (alone) {
        rollback.run();
      } else {
        undo.run();
        release.run();
      }
      return true;
    } catch {
      if (db.inTransaction) rollback.run();
      return false;
    }
  }

  async function runJob(job: Job): Promise<void> {
    const work: { failure: { readonly error: unknown } | undefined } = { failure: undefined };
    running = work;
    try {
      await job.run();
    } finally {
      running = undefined;
    }
    if (work.failure) throw work.failure.error;
  }

  function commitTransaction(done: readonly Job[], begun: number): void {
    const committing = performance.now();
    try {
      record?.seal();
      commit.run();
      record?.ended();
    } catch (error) {
      if (db.inTransaction) rollback.run();
      record?.ended(error);
      for (const job of done) job.reject(translateError(error));
      return;
    }
    const ended = performance.now();
    for (const job of done) job.resolve();
    onCommit?.({ works: done.length, heldMs: ended - begun, commitMs: ended - committing });
  }

  return {
    write(work) {
      return new Promise((resolve, reject) => {
        if (closed) {
          reject(ledgerClosed());
          return;
        }
        let tell = (): void => undefined;
        queue.push({
          run: async () => {
            const outcome = await work();
            tell = () => resolve(outcome);
          },
          resolve: () => tell(),
          reject,
        });
        if (!draining) void drain();
      });
    },
    async call(act) {
      if (!running)
        throw new Error('a call of the ledger outside its work: await every call within the work');
      // SQLite may have left the transaction by itself: what came now would stay, alone.
      if (running.failure) throw running.failure.error;
      try {
        return act();
      } catch (error) {
        const translated = translateError(error);
        running.failure = { error: translated };
        throw translated;
      }
    },
    close() {
      closed = true;
      refuse(ledgerClosed());
    },
  };
}
