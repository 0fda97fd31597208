import { BirthmarkError } from '../../core/errors.ts';
import type { RevocationReads, StatusChange } from '../revocation/ports.ts';

/** Between two looks at whether any process changed a status: how late an answer of ours may be at most. */
const LOOK_EVERY_MS = 200;
/** Changes that are taken out one by one; more, and everything goes. */
const CHANGES_AT_ONCE = 1000;

export interface AnswerCache<Answer> {
  /** Whether the ledger was asked so recently that what is kept can be given. */
  isCurrent(now: number): boolean;
  /** Asks the ledger, and forgets what changed. Throws what the ledger throws. */
  bringUpToDate(now: number): Promise<void>;
  get(key: string): Answer | undefined;
  /** Keeps an answer, unless a status changed since `generation` was that number. */
  put(key: string, answer: Answer, generation: number): void;
  /** Counts the times that something changed. */
  readonly generation: number;
  /** When that was last seen, in milliseconds since the epoch; at first the time of the first look. */
  readonly changedAt: number;
}

export interface AnswerCacheOptions {
  readonly ledger: Pick<RevocationReads, 'lastStatusChange' | 'listStatusChanges'>;
  /** Above which the oldest answer leaves. */
  readonly most: number;
  /** The keys under which answers about a certificate may be kept. */
  readonly keysOf: (change: StatusChange) => readonly string[];
  /** Whether something else has changed on which answers stand (who signs them), so that all of them go. */
  readonly isOtherwise: () => boolean;
}

/**
 * Keeps signed answers until the ledger says that the certificate's status is another, whichever process changed it.
 */
export function createAnswerCache<Answer>(options: AnswerCacheOptions): AnswerCache<Answer> {
  const { ledger, most, keysOf, isOtherwise } = options;
  const answers = new Map<string, Answer>();
  let sequence: number | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let changedAt = 0;
  let generation = 0;
  let looking: Promise<void> | undefined;

  const forget = (changes: readonly StatusChange[] | undefined, now: number): void => {
    generation += 1;
    changedAt = now;
    if (changes === undefined) answers.clear();
    else for (const change of changes) for (const key of keysOf(change)) answers.delete(key);
  };
  const look = async (now: number): Promise<void> => {
    const last = await ledger.lastStatusChange();
    if (sequence !== last) {
      const after = sequence;
      // The ledger may have been put back to an earlier day, or so much has changed that all of it goes.
      const isListed = after !== undefined && last > after && last - after <= CHANGES_AT_ONCE;
      const changes = isListed ? await ledger.listStatusChanges(after, CHANGES_AT_ONCE) : undefined;
      forget(changes, now);
      sequence = changes?.at(-1)?.sequence ?? last;
    }
    if (isOtherwise()) forget(undefined, now);
    lookedAt = now;
  };
  return {
    // A clock that was put back must not stop the looking.
    isCurrent: (now) => now >= lookedAt && now - lookedAt < LOOK_EVERY_MS,
    bringUpToDate: (now) => {
      looking ??= look(now).finally(() => {
        looking = undefined;
      });
      return looking;
    },
    get: (key) => answers.get(key),
    put: (key, answer, since) => {
      if (since !== generation) return;
      if (answers.size >= most) {
        const [oldest] = answers.keys();
        if (oldest === undefined) throw new BirthmarkError('internal', 'a full cache holds nothing');
        answers.delete(oldest);
      }
      answers.set(key, answer);
    },
    get generation() {
      return generation;
    },
    get changedAt() {
      return changedAt;
    },
  };
}
