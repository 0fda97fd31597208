import { BirthmarkError } from '../core/errors.ts';
import { readCertificate } from '../x509/certificate.ts';
import { backoffMs } from './backoff.ts';
import { findDue } from './find-due.ts';
import { Later, obtain } from './obtain.ts';
import { isAhead, type Pace, readPace } from './pace.ts';
import { type AgentParts, credentialOf } from './parts.ts';
import type { Voucher } from './ports.ts';
import { refreshTrust } from './refresh-trust.ts';
import type { Slot } from './state/state-folder.ts';
import { announce, beginTrial, endTrial, Unheard } from './try-credential.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** So soon the command after a change is run again that failed: until then somebody goes on with the old credential. */
const ANNOUNCE_AGAIN_MS = 60_000;
/** A window that says "now" is a second long, and nobody should have to come back for what is left of it. */
const SOON_MS = 1000;
const PACE_FILE = 'pace.json';

/** What a look at everything came to, and when to look again (milliseconds since the epoch). */
export interface StepResult {
  readonly outcome: 'renewed' | 'not-due' | 'waiting';
  readonly wakeAt: number;
  /** Why it waits. */
  readonly problem?: string;
}

export interface StepOptions {
  /** Renews whatever the window says and however long to wait was said. */
  readonly now?: boolean;
  /** Looks for the window whenever it was to be looked for next. */
  readonly look?: boolean;
  /** Enrolls anew with one of these instead of renewing. */
  readonly by?: readonly Voucher[];
}

/**
 * Does what there is to do: brings what a crash or a lost answer interrupted to its end, keeps roots fresh, renews what is due.
 * May be called at any time, and may be killed at any time: every step on disk leaves a working credential where there was one.
 * Never throws for what may pass by itself; that is `waiting`, with the problem.
 *
 * @throws BirthmarkError `renewal-refused`, `not-enrolled` where there is no credential and none is to be had; faults of the disk
 */
export async function step(parts: AgentParts, options: StepOptions = {}): Promise<StepResult> {
  const result = await lookAtEverything(parts, options);
  const current = parts.state.current();
  if (!current || current.has('announced')) return result;
  return { ...result, wakeAt: Math.min(result.wakeAt, parts.time.now() + ANNOUNCE_AGAIN_MS) };
}

async function lookAtEverything(parts: AgentParts, options: StepOptions): Promise<StepResult> {
  const { state, keys, time } = parts;
  state.tidy((name) => keys.destroy(name));
  await announce(parts);
  let pace = readPace(state.readText(PACE_FILE));
  const keepPace = (next: Pace) => {
    if (JSON.stringify(next) !== JSON.stringify(pace)) state.writeText(PACE_FILE, JSON.stringify(next));
    pace = next;
  };
  const current = state.current();
  const chain = current?.chain();
  const isForced = options.now === true || options.by !== undefined;
  try {
    let wakeAt = Number.POSITIVE_INFINITY;
    if (chain && !isForced && isAhead(pace.retryAt, time.now())) return waiting(pace.retryAt, pace.problem);
    const onTrial = current?.has('on-trial') && chain && endOf(chain) > time.now() ? current : undefined;
    if (chain) keepPace(await freshTrust(parts, pace));
    if (current && chain && !onTrial) {
      const { windowAt: _, ...unlooked } = pace;
      const due = await findDue(parts, current, chain, options.look ? unlooked : pace);
      keepPace(due.pace);
      wakeAt = Math.min(due.renewAt, due.windowAt, (pace.trustAt ?? 0) + DAY_MS);
      if (!state.next() && !isForced && due.renewAt > time.now() + SOON_MS)
        return { outcome: 'not-due', wakeAt };
    }
    await endTrial(parts, onTrial ?? (await obtainNext(parts, options.by)));
    const { problem: _, retryAt: __, window: ___, windowAt: ____, ...rest } = pace;
    keepPace({ ...rest, failures: 0, unheard: 0, renewedAt: time.now() });
    state.tidy((name) => keys.destroy(name));
    return { outcome: 'renewed', wakeAt: Math.min(wakeAt, time.now() + DAY_MS) };
  } catch (error) {
    const passing = passingProblem(error);
    if (!passing) throw error;
    const failures = pace.failures + 1;
    // Once the new one may have been seen the old one must not be used for long: what it took to get it is no reason to wait.
    const unheard = error instanceof Unheard ? (pace.unheard ?? 0) + 1 : 0;
    const remainingMs = chain ? endOf(chain) - time.now() : 0;
    const wait = backoffMs(unheard || failures, {
      random: parts.random,
      remainingMs,
      retryAfterMs: passing.retryAfterMs,
    });
    const retryAt = time.now() + wait;
    keepPace({ ...pace, failures, unheard, problem: passing.message, retryAt });
    if (!chain && error instanceof BirthmarkError && TELLS_FIRST.has(error.code)) throw error;
    parts.tell({ level: 'warn', event: 'waiting', detail: passing.message });
    return waiting(retryAt, passing.message);
  }
}

/** Of a first enrollment, which somebody waits for, these are told at once. */
const TELLS_FIRST: ReadonlySet<string> = new Set([
  'renewal-refused',
  'server-untrusted',
  'key-algorithm-not-allowed',
]);

/** What another attempt may not meet again. */
const PASSING: ReadonlySet<string> = new Set([
  'unavailable',
  'proxy-failed',
  'server-untrusted',
  'answer-refused',
  'renewal-refused',
  'key-algorithm-not-allowed',
]);

function passingProblem(
  error: unknown,
): { readonly message: string; readonly retryAfterMs?: number | undefined } | undefined {
  if (error instanceof Later) return error;
  return error instanceof BirthmarkError && PASSING.has(error.code) ? { message: error.message } : undefined;
}

function waiting(wakeAt: number, problem: string | undefined): StepResult {
  return { outcome: 'waiting', wakeAt, ...(problem !== undefined && { problem }) };
}

/** Once a day, and an hour after it did not work; that it cannot be had is no reason not to renew. */
async function freshTrust(parts: AgentParts, pace: Pace): Promise<Pace> {
  const now = parts.time.now();
  if (isAhead((pace.trustAt ?? 0) + DAY_MS, now)) return pace;
  try {
    if (await refreshTrust(parts)) await announce(parts);
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    return { ...pace, trustAt: now - DAY_MS + HOUR_MS };
  }
  return { ...pace, trustAt: now };
}

/** Gets the next credential, or goes on with the one that was begun, and makes it current, on trial. */
async function obtainNext(parts: AgentParts, by: readonly Voucher[] | undefined): Promise<Slot> {
  const { state, time } = parts;
  // What ended before it was ever taken is of no use.
  const begun = state.next()?.chain();
  if (begun && endOf(begun) <= time.now()) state.dropNext();
  let slot = state.next() ?? state.begin();
  if (!slot.chain()) slot = await obtain(parts, slot, by);
  const leaf = slot.chain()?.[0];
  if (leaf) time.hasBeen(readCertificate(leaf).tbs.notBefore.at);
  await beginTrial(parts, slot);
  return slot;
}

/** Milliseconds since the epoch. */
function endOf([leaf]: readonly [Uint8Array, ...Uint8Array[]]): number {
  return readCertificate(leaf).tbs.notAfter.at;
}

/**
 * The credentials to connect with, the best first: while the current one is on trial, the one before comes behind it. That is for
 * who was refused with the first, and not for who was not heard: used after the first was seen, it speaks of two holders.
 */
export function usableCredentials(parts: AgentParts) {
  const { state } = parts;
  const current = state.current();
  const previous = current?.has('on-trial') ? state.previous() : undefined;
  return [current, previous].flatMap((slot) => {
    const credential = slot && credentialOf(parts, slot);
    return credential ? [credential] : [];
  });
}
