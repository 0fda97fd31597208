import { BirthmarkError } from '../../core/errors.ts';

/** A digest's first 16 octets tell it apart from all others; of these are four words. */
const WORDS = 4;
const EMPTY = 0;
const SMALLEST = 1024;
/** Above this part of the places it grows. */
const FULL = 0.7;
/** Some 2 GB: who tells of more is not believed. */
const MOST_PLACES = 1 << 26;

/** What is known by a digest: a mark that is not 0, and a number of 32 bits. */
export interface Marked {
  readonly mark: number;
  readonly value: number;
}

/**
 * A table by SHA-256 digests for millions of entries, 21 octets a place: open addressing in typed arrays, since a Map of
 * strings takes 150. An entry is never removed, only marked otherwise; those that `forgets` says leave when it grows.
 */
export class DigestTable {
  readonly #forgets: (mark: number) => boolean;
  #words: Uint32Array;
  #marks: Uint8Array;
  #values: Uint32Array;
  #taken = 0;

  /** @param expected so many entries find room without growing, which takes its time at once */
  constructor(forgets: (mark: number) => boolean, expected = 0) {
    this.#forgets = forgets;
    let places = SMALLEST;
    while (places * FULL <= expected && places < MOST_PLACES) places *= 2;
    this.#words = new Uint32Array(places * WORDS);
    this.#marks = new Uint8Array(places);
    this.#values = new Uint32Array(places);
  }

  /** Octets of memory. */
  get octets(): number {
    return this.#words.byteLength + this.#marks.byteLength + this.#values.byteLength;
  }

  get(digest: Buffer): Marked | undefined {
    const at = this.#place(digest);
    const mark = this.#marks[at] ?? EMPTY;
    return mark === EMPTY ? undefined : { mark, value: this.#values[at] ?? 0 };
  }

  put(digest: Buffer, mark: number, value: number): void {
    if (this.#taken >= this.#marks.length * FULL) this.#grow();
    const at = this.#place(digest);
    if (this.#marks[at] === EMPTY) {
      this.#taken += 1;
      for (let word = 0; word < WORDS; word += 1)
        this.#words[at * WORDS + word] = digest.readUInt32LE(word * 4);
    }
    this.#marks[at] = mark;
    this.#values[at] = value;
  }

  /** All that are marked so, as their first 16 octets. What comes while it is read may be in it or not. */
  *digests(isWanted: (mark: number) => boolean): Generator<Buffer> {
    // A table that grows meanwhile takes others, and leaves these as they are.
    const [words, marks] = [this.#words, this.#marks];
    for (const [at, mark] of marks.entries()) {
      if (mark === EMPTY || !isWanted(mark)) continue;
      const digest = Buffer.allocUnsafe(WORDS * 4);
      for (let word = 0; word < WORDS; word += 1)
        digest.writeUInt32LE(words[at * WORDS + word] ?? 0, word * 4);
      yield digest;
    }
  }

  /** Where it is, or would be. */
  #place(digest: Buffer): number {
    return this.#placeOf(
      digest.readUInt32LE(0),
      digest.readUInt32LE(4),
      digest.readUInt32LE(8),
      digest.readUInt32LE(12),
    );
  }

  #placeOf(a: number, b: number, c: number, d: number): number {
    const words = this.#words;
    const mask = this.#marks.length - 1;
    for (let at = a & mask; ; at = (at + 1) & mask) {
      if (this.#marks[at] === EMPTY) return at;
      const from = at * WORDS;
      if (words[from] === a && words[from + 1] === b && words[from + 2] === c && words[from + 3] === d)
        return at;
    }
  }

  #grow(): void {
    const [words, marks, values] = [this.#words, this.#marks, this.#values];
    const places = marks.length * 2;
    if (places > MOST_PLACES)
      throw new BirthmarkError('snapshot-refused', 'more is told of than fits into memory');
    this.#words = new Uint32Array(places * WORDS);
    this.#marks = new Uint8Array(places);
    this.#values = new Uint32Array(places);
    this.#taken = 0;
    for (let from = 0; from < marks.length; from += 1) {
      const mark = marks[from] ?? EMPTY;
      if (mark === EMPTY || this.#forgets(mark)) continue;
      const [a = 0, b = 0, c = 0, d = 0] = words.subarray(from * WORDS, from * WORDS + WORDS);
      const at = this.#placeOf(a, b, c, d);
      this.#words.set([a, b, c, d], at * WORDS);
      this.#marks[at] = mark;
      this.#values[at] = values[from] ?? 0;
      this.#taken += 1;
    }
  }
}
