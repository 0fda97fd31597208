import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { AuthorityKeyAlgorithm } from '../../keys/key-algorithm.ts';
import type { Signer } from '../../keys/signer.ts';
import type { AuthorityRecord, CaLedger } from '../ports.ts';
import type { PublishedUrls } from '../published-urls.ts';
import type { Roster } from '../roster.ts';

/** What a new generation is where the order does not say it. */
export interface GenerationDefaults {
  readonly organization: string;
  /** The generation's number comes behind it. */
  readonly commonName: string;
  readonly algorithm: AuthorityKeyAlgorithm;
  readonly validityDays: number;
}

/** What it takes to roll an authority over. */
export interface RolloverRoom {
  readonly ledger: CaLedger;
  readonly roster: Roster;
  readonly urls: PublishedUrls;
  /** Guarded: what is made is dated by it. */
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Undefined for a family that there is none of. */
  readonly defaultsOf: (family: string) => GenerationDefaults | undefined;
  /**
   * Makes a key that lasts, or takes up again the one that an attempt before has left: who asks twice gets the same key.
   * Throws `key-file-…`, `passphrase-…`.
   */
  readonly obtainSigner: (name: string, algorithm: AuthorityKeyAlgorithm) => Signer;
  /** Puts certificates, bundle and lists where others find them. May be done again, and by several at once. */
  readonly publish: () => Promise<void>;
  /** So long a generation must have been published before it issues, unless somebody says: now. */
  readonly publishedMs: number;
}

/** Those of a family, oldest first. @throws BirthmarkError `not-found` */
export function generationsOf(
  family: string,
  records: readonly AuthorityRecord[],
): readonly AuthorityRecord[] {
  const found = records.filter((record) => record.family === family);
  if (found.length > 0) return found;
  const families = [...new Set(records.map((record) => record.family))].join(', ');
  throw new BirthmarkError(
    'not-found',
    `there is no authority ${JSON.stringify(family).slice(0, 80)}; there are ${families}`,
    { field: 'family' },
  );
}

/** The one that issues. @throws BirthmarkError `internal` */
export function currentOf(generations: readonly AuthorityRecord[]): AuthorityRecord {
  const current = generations.find(({ state }) => state === 'current');
  if (current) return current;
  throw new BirthmarkError('internal', `no generation of authority ${generations[0]?.family} is current`);
}
