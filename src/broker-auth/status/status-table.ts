import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { CRL_REASON_NAMES } from '../../x509/crl-reason.ts';
import type { DeniedEntry } from '../denied-entry.ts';
import { certificateDigestOf, digestOfKey } from './certificate-digest.ts';
import { DigestTable } from './digest-table.ts';
import type { Position } from './position.ts';
import type { Change, SnapshotLine } from './wire.ts';

/** Which certificate is asked about; octets. */
export interface CertificateKey {
  /** keyIdentifier of its authorityKeyIdentifier, or of its issuer's key. */
  readonly issuerKeyId: Uint8Array;
  /** The INTEGER's octets. */
  readonly serial: Uint8Array;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly keyHash: Uint8Array;
}

/** What is known of it. Good is what nobody has said anything else of. */
export type Standing =
  | { readonly status: 'good' }
  | {
      readonly status: 'revoked' | 'held';
      /** Of RFC 5280 §5.3.1; absent: unspecified, or held. */
      readonly reason?: string;
      /** When the ledger took it down, whole seconds in milliseconds since the epoch; of a blocked key unknown. */
      readonly at?: number;
      /** The certificate itself is meant, or any certificate for its key. */
      readonly because: 'certificate' | 'key';
    };

/** By number, which a mark holds. */
const REASONS: readonly (string | undefined)[] = CRL_REASON_NAMES;
const COMPROMISED = 'keyCompromise';

/** The lower bits of a mark; above them stands the reason. */
const STATUS = { revoked: 1, held: 2, good: 3 } as const;
const BLOCKED = 1;

/**
 * Who is denied, by certificate and by key, and how far and until when that is known. A certificate is denied while it is
 * revoked or held; a key for ever once a certificate for it was revoked for keyCompromise, or it was blocked by itself.
 * 1,000,000 entries take some 45 MB, twice that where all keys are blocked too.
 */
export class StatusTable {
  readonly #certificates = new DigestTable((mark) => (mark & 3) === STATUS.good);
  readonly #keys = new DigestTable(() => false);
  #position: Position;
  #asOf: number;

  /** @param asOf when that position was the last, by the steady clock of this process */
  constructor(position: Position, asOf: number) {
    this.#position = position;
    this.#asOf = asOf;
  }

  get position(): Position {
    return this.#position;
  }

  /**
   * Nothing older than this is missing here; who needs fresher knowledge must deny. By the steady clock: -Infinity where nobody
   * can say how old it is.
   */
  get asOf(): number {
    return this.#asOf;
  }

  /** Milliseconds. @param now by the steady clock */
  ageMs(now: number): number {
    return Math.max(0, now - this.#asOf);
  }

  /** @param asOf by the steady clock: what was read from disk is as old as that */
  date(asOf: number): void {
    this.#asOf = asOf;
  }

  /** Nobody can say how old it is until the next word: it counts as older than any policy allows. */
  doubt(): void {
    this.#asOf = Number.NEGATIVE_INFINITY;
  }

  /** Octets of memory. */
  get octets(): number {
    return this.#certificates.octets + this.#keys.octets;
  }

  statusOf(key: CertificateKey): Standing {
    const told = this.#certificates.get(digestOfKey(key));
    if (told && (told.mark & 3) !== STATUS.good) {
      const reason = REASONS[told.mark >> 2];
      return {
        status: (told.mark & 3) === STATUS.held ? 'held' : 'revoked',
        ...(reason !== undefined && reason !== 'unspecified' && { reason }),
        at: told.value * 1000,
        because: 'certificate',
      };
    }
    if (this.#keys.get(asBuffer(key.keyHash)))
      return { status: 'revoked', reason: COMPROMISED, because: 'key' };
    return { status: 'good' };
  }

  /** All that is denied now; what changes while it is read may be in it or not. */
  *denied(): Generator<DeniedEntry> {
    for (const digest of this.#certificates.digests((mark) => (mark & 3) !== STATUS.good))
      yield { kind: 'certificate', digest };
    for (const digest of this.#keys.digests(() => true)) yield { kind: 'key', digest };
  }

  /**
   * The next change. One that is known already changes nothing.
   *
   * @throws BirthmarkError `feed-broken` where one between is missing
   */
  apply(change: Change): void {
    const { sequence, epoch } = this.#position;
    if (change.sequence <= sequence) return;
    if (change.sequence !== sequence + 1)
      throw new BirthmarkError(
        'feed-broken',
        `change ${sequence + 1} did not come before ${change.sequence}; a new snapshot is needed`,
      );
    this.#take(change);
    this.#position = { epoch, sequence: change.sequence };
  }

  /**
   * The feed says that there was nothing behind that position at that time.
   *
   * @param at by the steady clock
   * @throws BirthmarkError `feed-broken` where we stand elsewhere
   */
  confirm({ epoch, sequence }: Position, at: number): void {
    if (epoch !== this.#position.epoch || sequence !== this.#position.sequence)
      throw new BirthmarkError(
        'feed-broken',
        `the feed stands at ${sequence}, what came ends at ${this.#position.sequence}; a new snapshot is needed`,
      );
    this.#asOf = Math.max(this.#asOf, at);
  }

  /** A line of a snapshot, which says nothing of the position. */
  load(line: SnapshotLine): void {
    if ('blockedKey' in line) this.#keys.put(Buffer.from(line.blockedKey, 'hex'), BLOCKED, 0);
    else this.#take(line);
  }

  #take(told: Pick<Change, 'issuerKeyId' | 'serial' | 'keyHash' | 'status' | 'reason' | 'at'>): void {
    const { status, reason, at } = told;
    const number = REASONS.indexOf(reason ?? 'unspecified');
    const mark = STATUS[status] | (Math.max(0, number) << 2);
    const digest = certificateDigestOf(Buffer.from(told.issuerKeyId, 'hex'), Buffer.from(told.serial, 'hex'));
    this.#certificates.put(digest, mark, Math.floor(Date.parse(at) / 1000));
    if (status === 'revoked' && reason === COMPROMISED)
      this.#keys.put(Buffer.from(told.keyHash, 'hex'), BLOCKED, 0);
  }
}
