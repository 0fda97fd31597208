import { equalBytes } from '../core/bytes.ts';
import type { Signer } from '../keys/signer.ts';
import { type Authorities, type Authority, assembleAuthorities } from './authority.ts';
import type { AuthorityReads, AuthorityRecord, CrossCertificate } from './ports.ts';

/** The authorities of a house, as the ledger has them: a generation that another process made is here after a look. */
export interface Roster {
  /** The same object always; what is in it grows. */
  readonly authorities: Authorities;
  /** As the ledger said at the last look, in the order in which they came. */
  readonly records: readonly AuthorityRecord[];
  readonly crossCertificates: readonly CrossCertificate[];
  /** Which generation issues what profiles name by this family; undefined where there is none. */
  current(family: string): Authority | undefined;
  /** Nobody needs to know it any more. */
  isRetired(name: string): boolean;
  /** Asks the ledger. Returns whether anything changed. Throws what the ledger throws, or `key-file-…`; all stays then. */
  look(): Promise<boolean>;
}

export interface RosterOptions {
  readonly reads: Pick<AuthorityReads, 'listAuthorities' | 'listCrossCertificates'>;
  /** Opens the key of an authority; called once for each. */
  readonly signerOf: (record: AuthorityRecord) => Signer;
}

/**
 * Reads the authorities from the ledger, and their keys.
 *
 * @throws BirthmarkError as `assembleAuthorities` and the parts do
 */
export async function openRoster({ reads, signerOf }: RosterOptions): Promise<Roster> {
  const authorities = Object.assign(new Map<string, Authority>(), { revision: 0 });
  const signers = new Map<string, Signer>();
  let records: readonly AuthorityRecord[] = [];
  let crossCertificates: readonly CrossCertificate[] = [];
  let current: ReadonlyMap<string, string> = new Map();
  let retired: ReadonlySet<string> = new Set();

  const signerFor = (record: AuthorityRecord) => {
    const signer = signers.get(record.name) ?? signerOf(record);
    signers.set(record.name, signer);
    return signer;
  };
  const look = async () => {
    const [found, crossed] = [await reads.listAuthorities(), await reads.listCrossCertificates()];
    if (isSame(found, records) && crossed.length === crossCertificates.length) return false;
    const assembled = assembleAuthorities(found, signerFor, crossed);
    for (const [name, authority] of assembled) {
      const before = authorities.get(name);
      // Who holds one for a while compares it with what is here.
      if (!before || !isAlike(before, authority)) authorities.set(name, authority);
    }
    records = found;
    crossCertificates = crossed;
    current = new Map(found.filter(({ state }) => state === 'current').map((one) => [one.family, one.name]));
    retired = new Set(found.filter(({ state }) => state === 'retired').map(({ name }) => name));
    authorities.revision += 1;
    return true;
  };
  await look();
  return {
    authorities,
    get records() {
      return records;
    },
    get crossCertificates() {
      return crossCertificates;
    },
    current: (family) => authorities.get(current.get(family) ?? ''),
    isRetired: (name) => retired.has(name),
    look,
  };
}

/** Certificates never change, and times only with the state. */
function isSame(a: readonly AuthorityRecord[], b: readonly AuthorityRecord[]): boolean {
  return (
    a.length === b.length &&
    a.every(
      ({ name, state, publishedAt }, at) =>
        b[at]?.name === name && b[at].state === state && b[at].publishedAt === publishedAt,
    )
  );
}

function isAlike(a: Authority, b: Authority): boolean {
  return (
    equalBytes(a.root, b.root) &&
    a.crossed.length === b.crossed.length &&
    a.crossed.every((der, at) => equalBytes(der, b.crossed[at] ?? new Uint8Array()))
  );
}
