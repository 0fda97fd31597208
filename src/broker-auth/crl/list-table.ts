import { breathe } from '../../core/breathe.ts';
import { type CrlEntry, readCrlEntries } from '../../x509/crl-entry-reader.ts';
import type { OpenedCrl } from '../../x509/crl-frame.ts';
import { certificateDigestOf } from '../status/certificate-digest.ts';
import { DigestTable } from '../status/digest-table.ts';

/** The entries of one list, 21 octets a place, by the digest of issuer key and serial number. */
export interface ListTable {
  readonly size: number;
  /** Of memory. */
  readonly octets: number;
  /** Times are whole seconds; no invalidityDate. */
  find(digest: Buffer): CrlEntry | undefined;
  /** First 16 octets of the digest of each. */
  digests(): Iterable<Buffer>;
}

export interface ReadListTable {
  readonly table: ListTable;
  /** Why RFC 5280 forbids to use the list, if it does. */
  readonly unusable: string | undefined;
}

/** Entries read before others get their turn: a device may wait for a verdict. */
const SLICE = 250;
const SAMPLE = 64;
/** REASON + 1, since 0 is no mark. */
const markOf = (reason: number) => reason + 1;

/**
 * Reads the entries of a list in slices, so that nobody waits for a list of a million.
 *
 * @param issuerKeyId of the CA whose list it is
 * @throws BirthmarkError `bad-der`
 */
export async function readListTable(
  { frame, entries, defects }: OpenedCrl,
  issuerKeyId: Uint8Array,
): Promise<ReadListTable> {
  let table: DigestTable | undefined;
  let size = 0;
  const early: { readonly digest: Buffer; readonly entry: CrlEntry }[] = [];
  const put = (to: DigestTable, digest: Buffer, { reason, revokedAt }: CrlEntry) => {
    if (to.get(digest)) defects.push('it lists a certificate twice');
    to.put(digest, markOf(reason), Math.floor(Math.max(0, revokedAt) / 1000));
  };
  const begin = (expected: number) => {
    const fresh = new DigestTable(() => false, expected);
    for (const { digest, entry } of early) put(fresh, digest, entry);
    return fresh;
  };
  const content = entries ?? new Uint8Array(0);
  for (const { entry, serial, otherIssuer } of readCrlEntries(content, frame.issuerKey, defects)) {
    if (otherIssuer !== '') defects.push('it is indirect and does not say so');
    const digest = certificateDigestOf(issuerKeyId, serial);
    size += 1;
    if (table) put(table, digest, entry);
    else {
      early.push({ digest, entry });
      // They are about as long as each other, which says how many there will be.
      const read = serial.byteOffset - content.byteOffset;
      if (early.length === SAMPLE) table = begin((content.length / Math.max(1, read)) * SAMPLE * 1.1);
    }
    if (size % SLICE === 0) await breathe();
  }
  const done = table ?? begin(size);
  return {
    unusable: defects[0],
    table: {
      size,
      octets: done.octets,
      find: (digest) => {
        const told = done.get(digest);
        return told && { reason: told.mark - 1, revokedAt: told.value * 1000 };
      },
      digests: () => done.digests(() => true),
    },
  };
}
