import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { Trust } from '../../x509/path/trust.ts';
import { readFeedEvents } from './feed-events.ts';
import { positionToText } from './position.ts';
import { type ReadSnapshot, readSnapshot } from './read-snapshot.ts';
import type { StatusTable } from './status-table.ts';
import type { Change } from './wire.ts';

export interface FollowOptions {
  /** The authority's TLS listener: `https://pki.example.com:8443`. Plain HTTP on this machine only. */
  readonly url: string;
  /** Asked for each connection, so that a new one can be laid down. */
  readonly token: () => string;
  /** PEM of the root that the listener's certificate stands under. */
  readonly ca: string;
  /** Who may have certified the signer of snapshots. */
  readonly trust: Trust;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** What is known from before, of a snapshot that was kept. */
  readonly start?: ReadSnapshot;
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
  /** Resolves when it has stopped. */
  stop(): Promise<void>;
}

/** Several beats of the feed: who says nothing for so long is not there. */
const SILENT_MS = 10_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Keeps a table up to date for as long as it is wanted: a snapshot to begin with, then the feed, from the last event again
 * after each break, and another snapshot where the feed says that the place is lost. What was known stays until then.
 *
 * @throws BirthmarkError `config-invalid` for plain HTTP to another machine
 */
export function followFeed(options: FollowOptions): Following {
  const { trust, clock, random, start, onTable, onChange, onFault } = options;
  const fetch = createFetch(options);
  const stopping = new AbortController();
  const { signal } = stopping;
  let known: ReadSnapshot | undefined = start;
  let isLost = start === undefined;
  let failures = 0;

  const fetchSnapshot = async () => {
    const held = known && { ...known.table.position, issuedAt: known.header.issuedAt };
    const octets = await fetch('/api/v1/status-snapshot', signal);
    known = await readSnapshot(octets, { trust, at: clock(), ...(held && { held }) });
    isLost = false;
    onTable?.(known.table);
    return known.table;
  };
  const follow = async () => {
    const table = isLost || !known ? await fetchSnapshot() : known.table;
    const since = encodeURIComponent(positionToText(table.position));
    const octets = await fetch(`/api/v1/status-feed?since=${since}`, signal);
    for await (const event of readFeedEvents(octets)) {
      if (event?.kind === 'reset') {
        isLost = true;
        return;
      }
      if (event?.kind === 'position') table.confirm(event.position, event.at);
      if (event?.kind === 'change') {
        if (event.position.epoch !== table.position.epoch)
          throw new BirthmarkError('feed-broken', 'a change came of another epoch');
        const { sequence } = table.position;
        table.apply(event.change);
        if (table.position.sequence > sequence) onChange?.(event.change);
      }
      if (event) failures = 0;
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
  const done = run();
  return {
    get table() {
      return known?.table;
    },
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

type Fetch = (path: string, signal: AbortSignal) => Promise<IncomingMessage>;

function createFetch({ url, token, ca }: FollowOptions): Fetch {
  const base = new URL(url);
  const isLocal = ['127.0.0.1', 'localhost', '[::1]'].includes(base.hostname);
  if (base.protocol !== 'https:' && !(base.protocol === 'http:' && isLocal))
    throw new BirthmarkError('config-invalid', 'the feed is followed over https only: the token is a secret');
  return (path, signal) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token()}` };
      const target = new URL(path, base);
      const common = { headers, signal, agent: false as const, timeout: SILENT_MS };
      const answer = (response: IncomingMessage) => {
        if (response.statusCode === 200) {
          resolve(response);
          return;
        }
        response.resume();
        reject(
          new BirthmarkError('unavailable', `the authority answered ${response.statusCode} for ${path}`),
        );
      };
      const request =
        base.protocol === 'https:'
          ? https.get(target, { ...common, ca }, answer)
          : http.get(target, common, answer);
      request.on('timeout', () =>
        request.destroy(new BirthmarkError('unavailable', 'the authority has said nothing for too long')),
      );
      request.on('error', reject);
    });
}
