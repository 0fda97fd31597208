import { hash } from 'node:crypto';

const SLOTS = 8;

/**
 * Counts within a sliding window, in eight slots: what left the window is forgotten within an eighth of it. Where things are
 * counted that differ, the same one counts once in a slot.
 */
export class SlidingCount {
  readonly #slotMs: number;
  readonly #counts = new Uint32Array(SLOTS);
  readonly #seen: (Set<string> | undefined)[] = new Array(SLOTS);
  #newest = 0;

  constructor(windowMs: number) {
    this.#slotMs = windowMs / SLOTS;
  }

  /** Counts one and returns how many the window has, up to `enough`. */
  add(at: number, enough: number, what?: string): number {
    const slot = Math.floor(at / this.#slotMs);
    this.#forget(slot);
    const place = slot % SLOTS;
    if (what === undefined) {
      this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    } else {
      this.#seen[place] ??= new Set();
      // Beyond what trips the rule nothing more needs to be kept.
      if (this.#seen[place].size <= enough) this.#seen[place].add(shortOf(what));
    }
    return this.#total();
  }

  /** Counts from nothing. */
  reset(): void {
    this.#counts.fill(0);
    this.#seen.fill(undefined);
  }

  #forget(slot: number): void {
    const stale = Math.min(SLOTS, Math.max(0, slot - this.#newest));
    for (let step = 1; step <= stale; step += 1) {
      const place = (this.#newest + step) % SLOTS;
      this.#counts[place] = 0;
      this.#seen[place] = undefined;
    }
    // A jump of the clock beyond the window leaves nothing.
    if (stale === SLOTS) this.reset();
    this.#newest = Math.max(this.#newest, slot);
  }

  #total(): number {
    let total = 0;
    for (const count of this.#counts) total += count;
    const different = new Set<string>();
    for (const seen of this.#seen) for (const one of seen ?? []) different.add(one);
    return total + different.size;
  }
}

const SHORT = 32;

/** A topic may have 64 KiB, and a device may try many. */
function shortOf(what: string): string {
  return what.length <= SHORT ? what : hash('sha256', what, 'base64');
}
