import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { fetchLists, type ListTag, splitLists } from '../fetch-list.ts';
import { type ListStore, MOST_LIST_OCTETS } from './list-store.ts';

/** Where lists come from, and how often they are looked for. */
export interface ListPlace {
  readonly urls: readonly string[];
  /** Paths. */
  readonly files: readonly string[];
  readonly everyMs: number;
}

export interface FollowListsOptions {
  readonly store: ListStore;
  readonly places: readonly ListPlace[];
  readonly random: RandomBytes;
  /** Told why a place gives no list that may be used, once for each reason; it is tried again. */
  readonly onFault: (place: string, why: string) => void;
}

export interface FollowedLists {
  /** Places that gave nothing that could be used when they were last looked at, with the reason. */
  readonly faults: ReadonlyMap<string, string>;
  /** Resolves when each place was looked at once. */
  readonly first: Promise<void>;
  stop(): Promise<void>;
}

/** What went wrong is tried again after so long at the latest. */
const RETRY_MS = 30_000;
const AT_ONCE = 4;

/**
 * Fetches lists from URLs and reads them from files, again and again, beside the connections of devices: none waits for it. What is
 * broken, cannot be had, or is older than what is held leaves that where it is.
 */
export function followLists({ store, places, random, onFault }: FollowListsOptions): FollowedLists {
  const stopping = new AbortController();
  const { signal } = stopping;
  const faults = new Map<string, string>();
  const tags = new Map<string, ListTag>();

  async function look(place: string, read: () => Promise<readonly Uint8Array[]>): Promise<void> {
    let fault: string | undefined;
    try {
      for (const [at, der] of (await read()).entries()) {
        const found = await store.offer(der);
        if (found.outcome === 'refused') fault ??= `list ${at + 1}: ${found.why}`;
      }
    } catch (error) {
      if (signal.aborted) return;
      fault = error instanceof BirthmarkError ? error.message : String(error);
    }
    if (fault === undefined) faults.delete(place);
    else {
      // What was refused is looked at again, whatever the server says of it.
      tags.delete(place);
      const before = faults.get(place);
      faults.set(place, fault);
      if (before !== fault) onFault(place, fault);
    }
  }

  const fetchNew = (url: string) => async () => {
    const fetched = await fetchLists(url, signal, tags.get(url) ?? {});
    if (!fetched) return [];
    tags.set(url, fetched.tag);
    return fetched.lists;
  };

  async function lookAt({ urls, files }: ListPlace): Promise<void> {
    const all = [
      ...files.map((file) => () => look(file, () => readLists(file))),
      ...urls.map((url) => () => look(url, fetchNew(url))),
    ];
    const work = async () => {
      for (let one = all.shift(); one && !signal.aborted; one = all.shift()) await one();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async function follow(place: ListPlace, looked: () => void): Promise<void> {
    while (!signal.aborted) {
      await lookAt(place);
      looked();
      const isWell = [...place.urls, ...place.files].every((one) => !faults.has(one));
      const pauseMs = isWell ? place.everyMs : Math.min(place.everyMs, RETRY_MS);
      // Gates that were started together need not ask together for ever.
      const part = 0.9 + (random(1)[0] ?? 0) / 1280;
      await sleep(pauseMs * part, undefined, { signal }).catch(() => undefined);
    }
  }

  const firsts = places.map(() => Promise.withResolvers<void>());
  const running = places.map((place, at) => follow(place, () => firsts[at]?.resolve()));
  return {
    faults,
    first: Promise.all(firsts.map(({ promise }) => promise)).then(() => undefined),
    async stop() {
      stopping.abort();
      await Promise.all(running);
      for (const { resolve } of firsts) resolve();
    },
  };
}

/** @throws BirthmarkError `unavailable`, `bad-pem` */
async function readLists(file: string): Promise<readonly Uint8Array[]> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > MOST_LIST_OCTETS) throw new Error(`it has more than ${MOST_LIST_OCTETS} octets`);
      const octets = await handle.readFile();
      return splitLists(octets, file);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof BirthmarkError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `the list of ${file} cannot be read: ${why}`, { cause });
  }
}
