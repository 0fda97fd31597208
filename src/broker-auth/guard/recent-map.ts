/**
 * A map by text that keeps what was put or asked for last, and grows only as far as it is used. Of two halves the older one is
 * forgotten as a whole when the younger is full: there are at most `most` values, and the last half of that for sure.
 */
export class RecentMap<Value extends object | number> {
  readonly #half: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  constructor(most: number) {
    this.#half = Math.ceil(most / 2);
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  delete(key: string): void {
    this.#old.delete(key);
    this.#young.delete(key);
  }

  *entries(): Generator<[string, Value]> {
    yield* this.#old;
    yield* this.#young;
  }
}
