import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { equalBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { readSecretFile } from '../core/secret-file.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { parsePemBlocks, toPem } from '../x509/pem.ts';
import { missingNames } from './tls-certificate.ts';
import { identityOfFiles, type TlsIdentity } from './tls-identity.ts';
import { TLS_POLICY } from './tls-policy.ts';

export interface GivenCertificateOptions {
  /** PEM: the leaf first, then what is between it and its root. */
  readonly certificatePath: string;
  /** PEM, mode 0600; if it is encrypted, with the home's passphrase. */
  readonly keyPath: string;
  readonly passphrase: string;
  /** By which devices reach the listener. */
  readonly names: readonly string[];
  readonly clock: Clock;
}

export interface GivenCertificate {
  readonly context: SecureContextOptions;
  /** Names by which devices reach the listener and which the certificate does not have. */
  readonly missingNames: readonly string[];
}

const CERTIFICATE = 'listen.tlsCertificateFile';
const KEY = 'listen.tlsKeyFile';

/**
 * Reads the user's own certificate for the TLS listener. A root that the file holds is not sent.
 *
 * @throws BirthmarkError `config-invalid` with the member of the configuration, `key-file-permissions`,
 *   `key-file-unreadable`
 */
export function readGivenCertificate(options: GivenCertificateOptions): GivenCertificate {
  const { certificatePath, keyPath, passphrase, names, clock } = options;
  const chain = readChain(certificatePath);
  const [leaf] = chain;
  if (!leaf) throw invalid(CERTIFICATE, `${certificatePath} holds no certificate`);
  const key = readKey(keyPath, passphrase);
  const certificate = new X509Certificate(leaf);
  if (!certificate.checkPrivateKey(key))
    throw invalid(KEY, `${keyPath} is not the key of the first certificate in ${certificatePath}`);
  const { notBefore, notAfter } = parseCertificate(leaf).tbs;
  if (clock() > notAfter.at) throw invalid(CERTIFICATE, `${certificatePath} ended on ${dateOf(notAfter.at)}`);
  if (clock() < notBefore.at)
    throw invalid(CERTIFICATE, `${certificatePath} is not valid before ${dateOf(notBefore.at)}`);
  const context = {
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    cert: chain.map((der) => toPem('CERTIFICATE', der)).join(''),
  };
  try {
    createSecureContext({ ...TLS_POLICY, ...context });
  } catch (cause) {
    throw invalid(CERTIFICATE, `${certificatePath} cannot be used by TLS (${reasonOf(cause)})`, cause);
  }
  return { context, missingNames: missingNames(certificate, names) };
}

/** Without the root, which clients have or do not trust. */
function readChain(path: string): readonly Buffer[] {
  try {
    const [leaf, ...above] = parsePemBlocks(readFileSync(path, 'latin1'), ['CERTIFICATE'], CERTIFICATE);
    const parsed = above.map((der) => ({ der, tbs: parseCertificate(der).tbs }));
    const between = parsed.filter(({ tbs }) => !equalBytes(tbs.issuer, tbs.subject)).map(({ der }) => der);
    return leaf ? [leaf, ...between] : [];
  } catch (cause) {
    throw invalid(CERTIFICATE, `${path} cannot be read as certificates in PEM (${reasonOf(cause)})`, cause);
  }
}

function readKey(path: string, passphrase: string): KeyObject {
  const pem = readSecretFile(path);
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (cause) {
    throw new BirthmarkError(
      'key-file-unreadable',
      `${path} is no private key in PEM, or it is encrypted with another passphrase than the home's`,
      { cause, field: KEY },
    );
  }
}

function invalid(field: string, rule: string, cause?: unknown): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field, cause });
}

function reasonOf(cause: unknown): string {
  if (cause instanceof BirthmarkError) return cause.message;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
}

function dateOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The user's own key and certificate. */
export function givenTlsIdentity(options: GivenCertificateOptions): TlsIdentity {
  const { certificatePath, keyPath } = options;
  return identityOfFiles([certificatePath, keyPath], () => readGivenCertificate(options).context);
}
