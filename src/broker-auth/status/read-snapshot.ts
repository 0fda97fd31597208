import { createHash } from 'node:crypto';
import { breathe } from '../../core/breathe.ts';
import { parseBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import { SIGNATURE_ALGORITHMS, verifySignature } from '../../x509/algorithms.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { EXTENDED_KEY_USAGE, KEY_USAGE } from '../../x509/extensions.ts';
import { readCertificateRules } from '../../x509/path/certificate-rules.ts';
import type { Trust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import { importPublicKey, parsePublicKey } from '../../x509/public-key.ts';
import { certificateKeyOf, readCredential } from '../credential.ts';
import { cutLines } from './cut-lines.ts';
import { NameTable } from './name-table.ts';
import { StatusTable } from './status-table.ts';
import { parseHeader, parseLine, parseSeal, type SnapshotHeader, sealedText } from './wire.ts';

export interface SnapshotRules {
  /** Who may have certified the signer: the house's root, or, narrower, its service authority. */
  readonly trust: Trust;
  /** Now, in milliseconds since the epoch. */
  readonly at: number;
  /** What is read is as old as this clock says from then on. */
  readonly steady: SteadyClock;
  /**
   * It was believed when it was kept: it may have ended since, and is then only old. Who was taken back is known by it whatever the
   * clock says, which a machine that lost its time would else let in.
   */
  readonly kept?: boolean;
  /** What is known already: nothing older is taken. */
  readonly held?: Pick<SnapshotHeader, 'epoch' | 'sequence' | 'issuedAt'>;
  /** What is known of certificates already: who was taken back signs no snapshot. */
  readonly known?: Pick<StatusTable, 'statusOf'>;
  /** Know the devices too: for brokers that show a name only. */
  readonly holders?: boolean;
}

export interface ReadSnapshot {
  readonly header: SnapshotHeader;
  readonly table: StatusTable;
  readonly names?: NameTable;
}

/** Far above any line of ours: it bounds what is kept of a stranger's. */
const LINE_OCTETS = 512 * 1024;
/** Lines read without letting others have a turn: some milliseconds. */
const LINES_AT_ONCE = 500;
/** Clocks of two machines. */
const SKEW_MS = 5 * 60_000;

/**
 * Reads a snapshot of `GET /api/v1/status-snapshot` as it streams in, and believes it only as a whole: signed by an OCSP
 * signer that stands under the trust and was not taken back, by what it says itself or by what is known, not expired, and not
 * older than what is held.
 *
 * @throws BirthmarkError `snapshot-refused`; what the source throws
 */
export async function readSnapshot(
  source: AsyncIterable<Uint8Array>,
  { trust, at: now, steady, kept = false, held, known, holders = false }: SnapshotRules,
): Promise<ReadSnapshot> {
  const digest = createHash('sha256');
  let header: SnapshotHeader | undefined;
  let table: StatusTable | undefined;
  const names = holders ? new NameTable() : undefined;
  let last: Buffer | undefined;
  let count = 0;
  let at = now;
  // A line is of the content once another one follows it.
  const take = (line: Buffer) => {
    digest.update(line).update('\n');
    if (header && table) {
      const read = parse(line, parseLine);
      table.load(read);
      names?.load(read);
      return;
    }
    header = parse(line, parseHeader);
    const issuedAt = Date.parse(header.issuedAt);
    if (kept) at = issuedAt;
    refuseOld(header, at, held);
    table = new StatusTable({ epoch: header.epoch, sequence: header.sequence }, steady.of(issuedAt));
  };
  for await (const line of cutLines(source, LINE_OCTETS)) {
    if (last) take(last);
    last = line;
    count += 1;
    if (count % LINES_AT_ONCE === 0) await breathe();
  }
  if (!last || !header || !table) throw refused('it is cut short');
  const path = verifySeal(last, digest.digest('hex'), trust, at);
  for (const denied of known ? [known, table] : [table]) refuseTakenBack(path, denied);
  return { header, table, ...(names && { names }) };
}

function refuseOld(header: SnapshotHeader, at: number, held: SnapshotRules['held']): void {
  const issuedAt = Date.parse(header.issuedAt);
  if (issuedAt > at + SKEW_MS) throw refused(`it was issued at ${header.issuedAt}, which is to come`);
  if (Date.parse(header.validUntil) <= at) throw refused(`it ended at ${header.validUntil}`);
  if (!held) return;
  // The numbers of another epoch mean nothing here: only time can tell which is the later one.
  const isOlder =
    header.epoch === held.epoch ? header.sequence < held.sequence : issuedAt < Date.parse(held.issuedAt);
  if (isOlder) throw refused(`it is older than what is known: ${header.sequence} of ${header.issuedAt}`);
}

/** The signer, or who certified it. A key that got out would else sign snapshots for as long as its certificate lasts. */
function refuseTakenBack(path: readonly Uint8Array[], table: Pick<StatusTable, 'statusOf'>): void {
  for (const id of readCredential(path, '').path) {
    const { status } = table.statusOf(certificateKeyOf(id));
    if (status !== 'good') throw refused(`certificate ${id.serial} of its signer or above it is ${status}`);
  }
}

/** The signer's path, DER, from the leaf to the anchor. */
function verifySeal(line: Buffer, sha256: string, trust: Trust, at: number): readonly Uint8Array[] {
  const seal = parse(line, parseSeal);
  if (seal.sha256 !== sha256) throw refused('its seal is of another content, or it is cut short');
  const algorithm = Object.values(SIGNATURE_ALGORITHMS).find(({ name }) => name === seal.algorithm);
  const [leaf, ...untrusted] = seal.chain.map((text) => parseBase64(text, 'chain'));
  if (!algorithm || !leaf) throw refused('nobody here can verify its signature');
  const verdict = validatePath(leaf, { trust, at, purpose: 'any', untrusted });
  if (verdict.reason !== 'ok') throw refused(`its signer is not trusted: ${verdict.detail}`);
  const { tbs } = parseCertificate(leaf);
  const { ca, keyUsage, extendedKeyUsage } = readCertificateRules(tbs);
  const maySign =
    !ca &&
    (!keyUsage || keyUsage.includes(KEY_USAGE.digitalSignature)) &&
    extendedKeyUsage?.includes(EXTENDED_KEY_USAGE.ocspSigning);
  if (!maySign)
    throw refused('its signer may not tell statuses: its extKeyUsage lacks OCSPSigning, or it is a CA');
  const isSigned =
    parsePublicKey(tbs.spki).kind === algorithm.keyKind &&
    verifySignature(
      algorithm,
      importPublicKey(tbs.spki),
      sealedText(sha256),
      parseBase64(seal.signature, 'signature'),
    );
  if (!isSigned) throw refused('its signature is not the signer’s');
  return verdict.path;
}

function parse<T>(line: Buffer, read: (value: unknown, what: string) => T): T {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return read(value, '');
  } catch (error) {
    throw refused(`a line of it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function refused(why: string): BirthmarkError {
  return new BirthmarkError('snapshot-refused', `the status snapshot is refused: ${why}`);
}
