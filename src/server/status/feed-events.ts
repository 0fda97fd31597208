import { type Position, positionToText } from '../../broker-auth/status/position.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type ChangePages, toTime } from './change-pages.ts';
import type { Seen, StatusTail } from './status-tail.ts';

export interface FeedReader {
  /** From behind there on; not given: from now on. */
  readonly since: Position | undefined;
  /** Aborted when the reader has gone. */
  readonly gone: AbortSignal;
  /** Whether whoever reads may still do so; asked every few seconds. */
  readonly mayRead: () => Promise<boolean>;
}

export interface FeedOptions {
  readonly tail: StatusTail;
  readonly pages: ChangePages;
}

/** When an EventSource comes again after its connection broke, in milliseconds. */
const OPENING = ': birthmark status feed\nretry: 1000\n\n';
/** The connection lives; that the ledger was looked at cannot be said. */
const ALIVE = ': alive\n\n';
/** A token that was revoked ends what it opened within this time. */
const ASK_EVERY_MS = 10_000;

/**
 * What one reader hears, as text of server-sent events: each change in order, and where the ledger stands whenever it has
 * heard all. Asks for the next page only when the one before was taken, so that nothing is kept for a slow reader.
 *
 * @throws BirthmarkError what the ledger throws
 */
export async function* feedEvents(
  { tail, pages }: FeedOptions,
  { since, gone, mayRead }: FeedReader,
): AsyncGenerator<string> {
  let seen = await tail.look();
  let askedAt = seen.at;
  const epoch = since?.epoch ?? seen.epoch;
  let sequence = since?.sequence ?? seen.sequence;
  let told: Seen | undefined;
  yield OPENING;
  while (!gone.aborted && !tail.closed) {
    if (seen.epoch !== epoch || seen.sequence < sequence) {
      yield resetEvent(seen, seen.epoch === epoch ? 'ahead' : 'epoch');
      return;
    }
    // A clock that was put back must not stop the asking.
    if (Math.abs(seen.at - askedAt) >= ASK_EVERY_MS) {
      if (!(await mayRead())) return;
      askedAt = seen.at;
    }
    if (sequence < seen.sequence) {
      const page = await pages(sequence, epoch, seen.sequence);
      if (page.last <= sequence) throw new BirthmarkError('internal', 'a change of a status is missing');
      yield page.text;
      sequence = page.last;
    } else {
      if (seen.at !== told?.at) yield positionEvent(seen);
      else yield ALIVE;
      told = seen;
      if (!gone.aborted && tail.seen?.sequence === sequence) await tail.next();
    }
    seen = tail.seen ?? seen;
  }
}

function positionEvent(seen: Seen): string {
  const data = { epoch: seen.epoch, sequence: seen.sequence, at: toTime(seen.at) };
  return `id: ${positionToText(seen)}\nevent: position\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Without an id: a client that does not understand it comes again with the old one, and is told again. */
function resetEvent({ epoch, sequence }: Seen, why: 'epoch' | 'ahead'): string {
  return `retry: 10000\nevent: reset\ndata: ${JSON.stringify({ epoch, sequence, why })}\n\n`;
}
