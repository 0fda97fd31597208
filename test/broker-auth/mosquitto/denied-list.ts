import type { CredentialId } from '../../../src/broker-auth/credential.ts';
import {
  certificateDigest,
  type DeniedChange,
  type DeniedEntry,
  type DeniedSource,
  keyDigest,
} from '../../../src/broker-auth/denied-entry.ts';

/** What is denied, as a list of this process: the smallest source that there is. */
export class DeniedList implements DeniedSource {
  readonly #entries = new Map<string, DeniedEntry>();
  /** CAs of which it knows nothing. */
  readonly strangers = new Set<string>();
  #sequence = 1;
  epoch = 'e1';
  asOf: number;

  constructor(asOf: number) {
    this.asOf = asOf;
  }

  get sequence(): number {
    return this.#sequence;
  }

  position() {
    return { epoch: this.epoch, sequence: this.#sequence, asOf: this.asOf };
  }

  denied(): Iterable<DeniedEntry> {
    return this.#entries.values();
  }

  isDenied(id: CredentialId): boolean {
    return this.#entries.has(keyOf(certificateOf(id))) || this.#entries.has(keyOf(keyEntry(id)));
  }

  knowsIssuer(issuerKeyId: string): boolean {
    return !this.strangers.has(issuerKeyId);
  }

  /** Takes a change in; gives it as a writer wants to hear it. */
  apply(entry: DeniedEntry, denied: boolean): readonly DeniedChange[] {
    this.#sequence += 1;
    if (denied) this.#entries.set(keyOf(entry), entry);
    else this.#entries.delete(keyOf(entry));
    return [{ ...entry, denied }];
  }
}

export function certificateOf(id: Pick<CredentialId, 'issuerKeyId' | 'serial'>): DeniedEntry {
  return { kind: 'certificate', digest: certificateDigest(id) };
}

export function keyEntry({ keyHash }: Pick<CredentialId, 'keyHash'>): DeniedEntry {
  return { kind: 'key', digest: keyDigest(keyHash) };
}

function keyOf({ kind, digest }: DeniedEntry): string {
  return `${kind}${Buffer.from(digest).toString('hex')}`;
}
