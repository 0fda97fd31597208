import type { Identity } from '../decide.ts';
import type { Change, SnapshotLine } from './wire.ts';

type Told = Pick<Change, 'issuerKeyId' | 'status' | 'holder'>;

/**
 * Devices that have a certificate which was taken back and, as far as was told, none of that authority beside it: all that
 * can be known of a client whose broker shows its name only. Some 200 octets an entry.
 */
export class NameTable {
  readonly #byDevice = new Map<string, Map<string, 'revoked' | 'held'>>();

  /** Undefined where nothing speaks against it. */
  statusOf(identity: Identity): 'revoked' | 'held' | undefined {
    const issuers = this.#byDevice.get(keyOf(identity));
    if (!issuers) return undefined;
    return [...issuers.values()].includes('revoked') ? 'revoked' : 'held';
  }

  load(line: SnapshotLine): void {
    if ('issuerKeyId' in line) this.take(line);
  }

  take({ holder, issuerKeyId, status }: Told): void {
    if (!holder) return;
    const key = keyOf({ namespace: holder.namespace, id: holder.serialNumber });
    const issuers = this.#byDevice.get(key) ?? new Map<string, 'revoked' | 'held'>();
    if (status === 'good' || holder.others) issuers.delete(issuerKeyId);
    else if (issuers.get(issuerKeyId) !== 'revoked') issuers.set(issuerKeyId, status);
    if (issuers.size === 0) this.#byDevice.delete(key);
    else this.#byDevice.set(key, issuers);
  }
}

function keyOf({ namespace, id }: Identity): string {
  return `${namespace}\n${id}`;
}
