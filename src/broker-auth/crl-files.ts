import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { type Crl, readCrl } from '../x509/crl-reader.ts';
import { signatureFault } from '../x509/path/check-signature.ts';
import { NO_WEAKNESS } from '../x509/path/key-strength.ts';
import { Budget, DEFAULT_LIMITS } from '../x509/path/limits.ts';
import { PathCertificate } from '../x509/path/path-certificate.ts';
import { parsePemBlocks, toPem } from '../x509/pem.ts';
import type { CanaryFinding } from './canary.ts';
import { replaceFile } from './replace-file.ts';

export interface CrlFileOptions {
  /** What the broker reads: PEM, several lists behind each other. */
  readonly file: string;
  /** DER of the CAs whose clients connect: a broker refuses all clients of one whose list is not there. */
  readonly issuers: readonly Uint8Array[];
  readonly clock: Clock;
  /** Makes the broker read the file: see `signalProcess` and `runCommand`. */
  readonly reload: () => Promise<void>;
  /** Proves that it did: a client on the list must be refused, one that is not must be let in. */
  readonly prove: () => Promise<CanaryFinding>;
}

export type CrlFileOutcome =
  | { readonly outcome: 'published'; readonly proof: CanaryFinding }
  /** Nothing was written: the file is what it was. */
  | { readonly outcome: 'refused'; readonly detail: string };

/** Clocks differ. */
const SKEW_MS = 5 * 60_000;
const MODE = 0o644;
/** A broker takes a moment to reload, longer with a long list, and a canary beforehand meets the old one. */
const PROOFS = 10;
const PROOF_PAUSE_MS = 500;

/**
 * Puts lists where a broker reads them. Mosquitto 2.0 lets everybody in when its file is broken, so nothing replaces a good file
 * but lists that are whole, signed by these CAs, current, and not older than those in it; the file is read again before it
 * takes its place, and afterwards two clients prove that the broker has it.
 *
 * @param lists DER
 * @throws BirthmarkError `home-unreadable`; what `reload` throws
 */
export async function publishCrlFile(
  options: CrlFileOptions,
  lists: readonly Uint8Array[],
): Promise<CrlFileOutcome> {
  const { file, issuers, clock, reload, prove } = options;
  const authorities = issuers.map((der) => new PathCertificate(der));
  const detail = listsFault(lists, authorities, clock()) ?? olderFault(lists, await readFileLists(file));
  if (detail !== undefined) return { outcome: 'refused', detail };
  const text = lists.map((der) => toPem('X509 CRL', der)).join('');
  await replaceFile(file, Buffer.from(text), MODE, (octets) => {
    const found = listsFault(parsePemBlocks(octets.toString(), ['X509 CRL'], file), authorities, clock());
    if (found !== undefined) throw new Error(`it was read again otherwise than it was written: ${found}`);
  });
  await reload();
  let proof: CanaryFinding = 'unreachable';
  for (let tried = 0; proof !== 'good' && tried < PROOFS; tried += 1) {
    await new Promise((resolve) => setTimeout(resolve, PROOF_PAUSE_MS));
    proof = await prove();
  }
  return { outcome: 'published', proof };
}

function listsFault(
  lists: readonly Uint8Array[],
  issuers: readonly PathCertificate[],
  now: number,
): string | undefined {
  const missing = new Set(issuers);
  for (const [at, der] of lists.entries()) {
    let crl: Crl;
    try {
      crl = readCrl(der);
    } catch (error) {
      if (error instanceof BirthmarkError) return `list ${at + 1} cannot be read: ${error.message}`;
      throw error;
    }
    const issuer = issuers.find((one) => one.subjectKey === crl.issuerKey && isSignedBy(crl, one));
    if (!issuer) return `list ${at + 1} is not signed by one of the CAs`;
    const fault = listFault(crl, now);
    if (fault !== undefined) return `list ${at + 1} of ${issuer.title} ${fault}`;
    missing.delete(issuer);
  }
  const [first] = missing;
  return first && `there is no list of ${first.title}, whose clients would all be refused`;
}

function listFault({ unusable, baseNumber, thisUpdate, nextUpdate }: Crl, now: number): string | undefined {
  if (unusable !== undefined) return `must not be used: ${unusable}`;
  if (baseNumber !== undefined) return 'is a delta, which brokers do not read';
  if (thisUpdate > now + SKEW_MS) return 'is from the future';
  if (nextUpdate === undefined || nextUpdate <= now) return 'is over: a broker would refuse everybody';
  return undefined;
}

function isSignedBy(crl: Crl, issuer: PathCertificate): boolean {
  return signatureFault(crl, issuer, NO_WEAKNESS, new Budget(DEFAULT_LIMITS)) === undefined;
}

/** What is in the file now; nothing where it cannot be read, which is no reason to keep it. */
async function readFileLists(file: string): Promise<readonly Crl[]> {
  try {
    return parsePemBlocks(await readFile(file, 'utf8'), ['X509 CRL'], file).map(readCrl);
  } catch {
    return [];
  }
}

/** RFC 5280 §5.2.3: numbers of one CA and scope only grow. */
function olderFault(lists: readonly Uint8Array[], before: readonly Crl[]): string | undefined {
  for (const [at, crl] of lists.map(readCrl).entries()) {
    const old = before.find(
      (one) =>
        one.issuerKey === crl.issuerKey &&
        one.scope === crl.scope &&
        one.authorityKeyIdentifier === crl.authorityKeyIdentifier,
    );
    if (!old) continue;
    const goesBack = old.number !== undefined && (crl.number === undefined || crl.number < old.number);
    if (goesBack || crl.thisUpdate < old.thisUpdate)
      return `list ${at + 1} is older than the one in the file`;
  }
  return undefined;
}

/**
 * Sends SIGHUP to the process whose number is in a file.
 *
 * @throws BirthmarkError `unavailable` where there is no such process
 */
export async function signalProcess(pidFile: string): Promise<void> {
  try {
    const pid = Number((await readFile(pidFile, 'utf8')).trim());
    // 0, 1 and what is negative are not one process.
    if (!Number.isSafeInteger(pid) || pid < 2) throw new Error('it holds no process number');
    process.kill(pid, 'SIGHUP');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `the process of ${pidFile} cannot be told to reload: ${reason}`, {
      cause,
    });
  }
}

const COMMAND_WITHIN_MS = 30_000;

/**
 * Runs a program with its words, without a shell.
 *
 * @throws BirthmarkError `unavailable` where it cannot be run, fails, or takes too long
 */
export async function runCommand([program, ...words]: readonly [string, ...string[]]): Promise<void> {
  try {
    await promisify(execFile)(program, words, { timeout: COMMAND_WITHIN_MS });
  } catch (cause) {
    throw new BirthmarkError('unavailable', `${program} has not made the broker reload`, { cause });
  }
}
