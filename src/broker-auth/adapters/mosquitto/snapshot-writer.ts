import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { toHex } from '../../../core/bytes.ts';
import type { Clock } from '../../../core/clock.ts';
import { BirthmarkError } from '../../../core/errors.ts';
import type { DeniedChange, DeniedEntry, DeniedSource } from '../../denied-entry.ts';
import { replaceFile } from '../../replace-file.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { buildBase, DeniedOverlay } from './denied-set.ts';
import { encodeSnapshot, issuedAtOf, type Kick, NO_END } from './encode-snapshot.ts';
import type { TrustedIssuer } from './trusted-issuers.ts';

export interface SnapshotWriterOptions {
  /** The snapshot's file, in a folder of its own. */
  readonly file: string;
  readonly key: KeyObject;
  /** As it is now: only its issuers change. */
  readonly policy: () => CompiledPolicy;
  readonly source: DeniedSource;
  readonly clock: Clock;
  /** Denied whatever the source says: the canary. */
  readonly permanent: readonly DeniedEntry[];
  /** Told what went wrong; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** Changes of so long go into one file. */
const COALESCE_MS = 20;
const RETRY_MS = 1000;
/** Above so many changes the base is made anew: a snapshot that carries them still takes few milliseconds. */
const MAX_OVERLAY = 8192;
/** Sessions of before do not last longer without a plugin that reads this. */
const KICK_KEPT_MS = 60_000;
/** A plugin opens the base right after the snapshot that names it. */
const OLD_BASE_KEPT_MS = 5000;
/** A snapshot is renewed each such part of the time that what it says may be old, and not more often than this. */
const RENEW_PART = 4;
const MIN_RENEW_MS = 100;
/** Below this it is the roughness of clocks. */
const CLOCK_STEP_MS = 20;
/** There is no secret in it. */
const MODE = 0o644;
const BASE_NAME = /^denied-[0-9a-f]{64}\.bin$/;

interface Base {
  readonly hash: Buffer;
  readonly name: string;
}

/**
 * Keeps a snapshot's file: one for each change, and one in time before the last runs out. What is denied is in two files: all
 * of it as of some time in the base, which seldom changes, and what has changed since in the snapshot itself.
 */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #asked: boolean;
  readonly #timed: boolean;
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  #base: Base | undefined;
  #overlay = new DeniedOverlay();
  /** Changes since the base was begun that is being made. */
  #next: DeniedOverlay | undefined;
  /** Another number after each reload: a base of before is not used. */
  #generation = 0;
  #blocked: readonly DeniedEntry[] = [];
  #kicks: readonly Kick[] = [];
  #issuedAt = 0;
  #asOf = 0;
  #dirty = false;
  #stopped = false;
  #writing: Promise<void> | undefined;
  #building: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cleaning: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(options: SnapshotWriterOptions) {
    const { status } = options.policy().listener;
    this.#options = options;
    this.#asked = status !== 'off';
    this.#timed = status === 'hard';
  }

  /** Writes the first one. */
  async start(): Promise<void> {
    const { file, key, source, policy } = this.#options;
    const before = await readFile(file).catch(() => undefined);
    // One of a run before must not look newer than ours: the plugin takes no older one.
    this.#issuedAt = (before && issuedAtOf(before, createPublicKey(key))) ?? 0;
    this.#rebuild();
    const everyMs = Math.max(MIN_RENEW_MS, policy().listener.maxStatusAgeMs / RENEW_PART);
    this.#renewal = setInterval(() => {
      // Also where the clock was set back, which would make the one that is there last longer than it may.
      if (this.#timed && Math.abs(source.position().asOf - this.#asOf) > CLOCK_STEP_MS) this.#touch();
    }, everyMs).unref();
    await this.written();
  }

  /** The source has taken these in: they are in the file within 50 ms. */
  changed(changes: readonly DeniedChange[]): void {
    if (!this.#asked) return;
    for (const change of changes) {
      this.#overlay.put(change);
      this.#next?.put(change);
    }
    if (this.#overlay.size > MAX_OVERLAY) this.#rebuild();
    this.#touch();
  }

  /** The source holds something else altogether: nothing is written before all of it was read. */
  reloaded(): void {
    this.#generation += 1;
    this.#base = undefined;
    this.#rebuild();
  }

  /** Replaces what is denied beside the source for a time: the behaviour guard's. */
  block(entries: readonly DeniedEntry[]): void {
    this.#blocked = entries;
    this.#touch();
  }

  /** Ends sessions without denying their certificates. Resolves when it is written. */
  kick(kicks: readonly Kick[]): Promise<void> {
    this.#kicks = [...this.#kicks, ...kicks];
    return this.written();
  }

  /** Resolves when a file is there that knows all of now; rejects with `unavailable` when the writer is stopped before. */
  written(): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.add(done);
    this.#touch();
    return done.promise;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#renewal);
    clearTimeout(this.#timer);
    clearTimeout(this.#cleaning);
    await this.#writing;
    await this.#building;
    for (const { reject } of this.#waiting)
      reject(new BirthmarkError('unavailable', 'the snapshot is no longer written'));
    this.#waiting.clear();
  }

  #rebuild(): void {
    if (this.#stopped) return;
    this.#building ??= this.#build()
      .catch((error: unknown) => {
        this.#options.onError(error);
        if (!this.#stopped) this.#timer ??= setTimeout(() => this.#again(), RETRY_MS);
      })
      .finally(() => {
        this.#building = undefined;
        if (!this.#base && !this.#timer) this.#rebuild();
        this.#touch();
      });
  }

  #again(): void {
    this.#timer = undefined;
    if (!this.#base) this.#rebuild();
    this.#touch();
  }

  async #build(): Promise<void> {
    const { file, source } = this.#options;
    const generation = this.#generation;
    const overlay = new DeniedOverlay();
    this.#next = overlay;
    const octets = await buildBase(this.#asked ? source.denied() : []);
    const digest = hash('sha256', octets, 'buffer');
    const name = `denied-${toHex(digest)}.bin`;
    await replaceFile(path.join(path.dirname(file), name), octets, MODE);
    if (generation !== this.#generation) return;
    this.#next = undefined;
    this.#overlay = overlay;
    this.#base = { hash: digest, name };
    clearTimeout(this.#cleaning);
    this.#cleaning = setTimeout(() => {
      this.#removeOldBases().catch(this.#options.onError);
    }, OLD_BASE_KEPT_MS).unref();
  }

  async #removeOldBases(): Promise<void> {
    const folder = path.dirname(this.#options.file);
    for (const name of await readdir(folder))
      if (BASE_NAME.test(name) && name !== this.#base?.name)
        await rm(path.join(folder, name), { force: true });
  }

  #touch(): void {
    this.#dirty = true;
    if (this.#stopped || this.#writing || !this.#base) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#run();
    }, COALESCE_MS);
  }

  #run(): void {
    let failed = false;
    this.#writing = this.#writeAll()
      .catch((error: unknown) => {
        failed = true;
        this.#dirty = true;
        this.#options.onError(error);
      })
      .finally(() => {
        this.#writing = undefined;
        if (this.#stopped || !this.#dirty) return;
        if (failed) this.#timer ??= setTimeout(() => this.#again(), RETRY_MS);
        else this.#touch();
      });
  }

  async #writeAll(): Promise<void> {
    while (this.#dirty && this.#base) {
      this.#dirty = false;
      const done = [...this.#waiting];
      await this.#write(this.#base.hash);
      for (const one of done) {
        this.#waiting.delete(one);
        one.resolve();
      }
    }
  }

  async #write(baseHash: Buffer): Promise<void> {
    const { file, key, source, clock, permanent } = this.#options;
    const policy = this.#options.policy();
    const { epoch, sequence, asOf } = source.position();
    const now = clock();
    this.#issuedAt = Math.max(now, this.#issuedAt);
    this.#kicks = this.#kicks.filter(({ before }) => before > now - KICK_KEPT_MS);
    const extra = [...permanent, ...this.#blocked];
    const content = {
      issuedAt: this.#issuedAt,
      validUntil: this.#timed ? asOf + policy.listener.maxStatusAgeMs : NO_END,
      epoch,
      sequence,
      baseHash,
      addedCertificates: this.#overlay.digests('certificate', true, extra),
      removedCertificates: this.#overlay.digests('certificate', false),
      addedKeys: this.#overlay.digests('key', true, extra),
      removedKeys: this.#overlay.digests('key', false),
      kicks: this.#kicks,
      policy: policy.encode((issuer) => this.#mayIssue(issuer)),
    };
    await replaceFile(file, encodeSnapshot(content, key), MODE);
    this.#asOf = asOf;
  }

  /** Where a status must be known, whoever is issued by a CA of which none is known is denied. */
  #mayIssue({ keyId, path: above }: TrustedIssuer): boolean {
    const { source } = this.#options;
    if (!this.#asked) return true;
    if (above.some((id) => source.isDenied(id))) return false;
    return (
      !this.#timed || [keyId, ...above.map((id) => id.issuerKeyId)].every((id) => source.knowsIssuer(id))
    );
  }
}
