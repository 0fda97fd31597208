import { breathe } from '../../../core/breathe.ts';
import { toHex } from '../../../core/bytes.ts';
import { type DeniedChange, type DeniedEntry, DIGEST_OCTETS } from '../../denied-entry.ts';
import { encodeBase } from './encode-snapshot.ts';
import { sortDigests } from './sort-digests.ts';

/** Entries that are read before others get their turn. */
const SLICE = 8192;

/** The file of all that is denied, as of when it was begun or of any time since. */
export async function buildBase(entries: Iterable<DeniedEntry>): Promise<Buffer> {
  const certificates = new DigestList();
  const keys = new DigestList();
  let read = 0;
  for (const { kind, digest } of entries) {
    (kind === 'certificate' ? certificates : keys).push(digest);
    read += 1;
    if (read % SLICE === 0) await breathe();
  }
  return encodeBase(await sortDigests(certificates.octets()), await sortDigests(keys.octets()));
}

/** What has changed since a base was begun: this goes before what the base says. */
export class DeniedOverlay {
  readonly #changes = new Map<string, DeniedChange>();

  get size(): number {
    return this.#changes.size;
  }

  put(change: DeniedChange): void {
    this.#changes.set(`${change.kind}${toHex(change.digest)}`, change);
  }

  /**
   * Sorted digests behind each other.
   *
   * @param extra more that are denied, whatever the changes say
   */
  digests(kind: DeniedEntry['kind'], denied: boolean, extra: readonly DeniedEntry[] = []): Buffer {
    const found = new Map<string, Uint8Array>();
    for (const change of this.#changes.values())
      if (change.kind === kind && change.denied === denied) found.set(toHex(change.digest), change.digest);
    for (const entry of extra) if (entry.kind === kind) found.set(toHex(entry.digest), entry.digest);
    return Buffer.concat([...found.values()].sort(Buffer.compare));
  }
}

/** Digests behind each other in memory that doubles. */
class DigestList {
  #octets = Buffer.allocUnsafe(1024 * DIGEST_OCTETS);
  #used = 0;

  push(digest: Uint8Array): void {
    if (this.#used === this.#octets.length) this.#octets = Buffer.concat([this.#octets], 2 * this.#used);
    this.#octets.set(digest, this.#used);
    this.#used += DIGEST_OCTETS;
  }

  octets(): Buffer {
    return this.#octets.subarray(0, this.#used);
  }
}
