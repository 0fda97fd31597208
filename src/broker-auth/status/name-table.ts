import { hash } from 'node:crypto';
import type { Identity } from '../decide.ts';
import { DigestTable } from './digest-table.ts';
import type { Change, SnapshotLine } from './wire.ts';

type Told = Pick<Change, 'issuerKeyId' | 'status' | 'holder'>;

const MARKS = { revoked: 1, held: 2, good: 3 } as const;

/**
 * Devices that have a certificate which was taken back and, as far as was told, none of that authority beside it: all that
 * can be known of a client whose broker shows its name only. 1,000,000 entries take some 45 MB.
 */
export class NameTable {
  readonly #table = new DigestTable((mark) => mark === MARKS.good);
  /** Of whom anything was told: few, as authorities are. */
  readonly #issuers = new Set<string>();

  /** Undefined where nothing speaks against it. */
  statusOf({ namespace, id }: Identity): 'revoked' | 'held' | undefined {
    const marks = [...this.#issuers].map((issuer) => this.#table.get(digestOf(namespace, id, issuer))?.mark);
    if (marks.includes(MARKS.revoked)) return 'revoked';
    return marks.includes(MARKS.held) ? 'held' : undefined;
  }

  load(line: SnapshotLine): void {
    if ('issuerKeyId' in line) this.take(line);
  }

  take({ holder, issuerKeyId, status }: Told): void {
    if (!holder) return;
    const digest = digestOf(holder.namespace, holder.serialNumber, issuerKeyId);
    const before = this.#table.get(digest)?.mark;
    const now = holder.others ? 'good' : status;
    if (now === 'good' && before === undefined) return;
    if (now === 'held' && before === MARKS.revoked) return;
    this.#issuers.add(issuerKeyId);
    this.#table.put(digest, MARKS[now], 0);
  }
}

/** A namespace and an issuer have no line break in them. */
function digestOf(namespace: string, id: string, issuerKeyId: string): Buffer {
  return Buffer.from(hash('sha256', `${namespace}\n${issuerKeyId}\n${id}`, 'hex'), 'hex');
}
