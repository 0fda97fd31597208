import { readFileSync, statSync } from 'node:fs';
import { equalBytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { createFileSigner, readKeyFile } from '../../keys/file-signer.ts';
import type { Signer } from '../../keys/signer.ts';
import { SIGNATURE_ALGORITHMS } from '../../x509/algorithms.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { parsePem } from '../../x509/pem.ts';
import { keyIdentifier } from '../../x509/public-key.ts';

/** How often the files are looked at, in milliseconds: a signer that was taken back must not sign for long. */
const LOOK_EVERY_MS = 1000;
/** The same where there is none to go on with, so that the log is not filled. */
const MISS_EVERY_MS = 10_000;

/** Who signs answers in an authority's name. */
export interface ResponderSigner {
  readonly signer: Signer;
  /** SHA-1 of the key's octets: the ResponderID. */
  readonly keyId: Uint8Array;
  /** AlgorithmIdentifier of its signatures, DER. */
  readonly signatureAlgorithm: Uint8Array;
  /** DER. */
  readonly certificate: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Where a responder's key and certificate lie. */
export interface ResponderFiles {
  readonly key: string;
  readonly certificate: string;
}

export interface ResponderHome {
  readonly files: (authority: string) => ResponderFiles;
  readonly passphrase: string;
}

/**
 * The signers as they lie in their files, read again after another process renewed one.
 *
 * @param onFault told where one cannot be read; the one before goes on
 * @returns undefined for an authority without a signer
 */
export function readResponderSigners(
  { files, passphrase }: ResponderHome,
  clock: Clock,
  onFault: (error: unknown) => void,
): (authority: string) => ResponderSigner | undefined {
  const read = new Map<string, { version: string; lookedAt: number; signer: ResponderSigner | undefined }>();
  return (authority) => {
    const now = clock();
    const before = read.get(authority);
    const everyMs = before?.signer ? LOOK_EVERY_MS : MISS_EVERY_MS;
    if (before && now >= before.lookedAt && now - before.lookedAt < everyMs) return before.signer;
    const latest = { version: before?.version ?? '', lookedAt: now, signer: before?.signer };
    read.set(authority, latest);
    try {
      const paths = files(authority);
      const version = versionOf(paths.certificate);
      if (version === latest.version) return latest.signer;
      latest.signer = readSigner(paths, passphrase);
      latest.version = version;
    } catch (error) {
      onFault(error);
    }
    return latest.signer;
  };
}

function versionOf(path: string): string {
  const { mtimeMs, ino, size } = statSync(path);
  return `${mtimeMs}-${ino}-${size}`;
}

/** @throws BirthmarkError as the parts do, `key-file-unreadable` where the two are no pair */
function readSigner({ key, certificate: path }: ResponderFiles, passphrase: string): ResponderSigner {
  const signer = createFileSigner(readKeyFile(key, passphrase));
  const certificate = parsePem(readFileSync(path, 'latin1'), ['CERTIFICATE'], path);
  const { tbs } = parseCertificate(certificate);
  if (!equalBytes(tbs.spki, signer.spki))
    throw new BirthmarkError('key-file-unreadable', `the key in ${key} is not the certificate's in ${path}`);
  return {
    signer,
    keyId: keyIdentifier(tbs.spki),
    signatureAlgorithm: SIGNATURE_ALGORITHMS[signer.algorithm].der,
    certificate,
    notBefore: tbs.notBefore.at,
    notAfter: tbs.notAfter.at,
  };
}
