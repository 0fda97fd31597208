import { type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createFileSigner, readKeyFile } from '../keys/file-signer.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { hashKey } from '../x509/public-key.ts';
import type { CertificateReads, KeyReads } from './ports.ts';
import type { RevocationReads } from './revocation/ports.ts';

/** What the ledger is asked about a certificate of our own. */
export type OwnCertificateReads = Pick<CertificateReads, 'findBySerial'> &
  Pick<RevocationReads, 'findRevocations'> &
  Pick<KeyReads, 'findKeys'>;

/** A key of our own (a listener's, a responder's) with its certificate, as they lie in files. */
export interface OwnCertificate {
  /** Undefined where there is none, or where it is blocked: a new one must be made, and take the file's place. */
  readonly key: KeyObject | undefined;
  /** Undefined where there is none that is this key's, or where it was taken back: as good as none. */
  readonly certificate: X509Certificate | undefined;
  /** Whether less than a third of the certificate's life is left. */
  readonly isOld: boolean;
}

export interface OwnCertificateFiles {
  readonly keyPath: string;
  readonly certificatePath: string;
  readonly passphrase: string;
}

/**
 * Reads a key and certificate of our own, and asks the ledger whether they may be used still: nobody tells us but the ledger.
 *
 * @param now milliseconds since the epoch
 * @throws BirthmarkError as `readKeyFile`
 */
export async function readOwnCertificate(
  { keyPath, certificatePath, passphrase }: OwnCertificateFiles,
  reads: OwnCertificateReads,
  now: number,
): Promise<OwnCertificate> {
  const key = existsSync(keyPath) ? readKeyFile(keyPath, passphrase) : undefined;
  if (!key) return { key, certificate: undefined, isOld: false };
  const [known] = await reads.findKeys([hashKey(createFileSigner(key).spki)]);
  if (known?.blocked !== undefined) return { key: undefined, certificate: undefined, isOld: false };
  const certificate = readCertificateFile(certificatePath);
  // Somebody may have put another pair's half there; a certificate without its key is worth nothing.
  if (!certificate?.checkPrivateKey(key) || (await isTakenBack(certificate, reads)))
    return { key, certificate: undefined, isOld: false };
  const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  return { key, certificate, isOld: now >= to - (to - from) / 3 };
}

async function isTakenBack({ raw }: X509Certificate, reads: OwnCertificateReads): Promise<boolean> {
  const record = await reads.findBySerial(parseCertificate(raw).tbs.serial);
  if (!record) return false;
  const [revocation] = await reads.findRevocations([record.id]);
  return revocation !== undefined;
}

/** The first certificate of a file; undefined where there is none that can be read. */
function readCertificateFile(path: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(path));
  } catch {
    return undefined;
  }
}
