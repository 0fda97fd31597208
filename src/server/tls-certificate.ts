import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { IssuingRoom } from '../ca/issuing-room.ts';
import { type OwnCertificateReads, readOwnCertificate } from '../ca/own-certificate.ts';
import type { Clock } from '../core/clock.ts';
import { writeDurably } from '../core/durable-file.ts';
import type { ServiceIssuer } from '../enroll/service-issuer.ts';
import { readKeyFile, writeKeyFile } from '../keys/file-signer.ts';
import { generateKey } from '../keys/key-algorithm.ts';
import { createCsr } from '../x509/create-csr.ts';
import { toPem } from '../x509/pem.ts';
import { identityOfFiles, type TlsIdentity } from './tls-identity.ts';

/** The holder's name in the ledger: the key stays its own whatever names the certificate has. */
const HOLDER = 'tls-listener';
const PROFILE = 'server';

export interface TlsCertificateOptions {
  readonly keyPath: string;
  readonly certificatePath: string;
  readonly passphrase: string;
  readonly names: readonly string[];
  readonly reads: OwnCertificateReads;
  readonly issuing: IssuingRoom;
  readonly issueService: ServiceIssuer;
  readonly clock: Clock;
}

/**
 * Gives the TLS listener a certificate of the service authority: makes a new one where there is none, where a third of
 * its life is left, where it is not the key's, where the configured names are not in it, where it was revoked or is held,
 * or where another generation of the authority issues now. The key stays the same, unless it is blocked.
 *
 * @returns whether there is a new one
 */
export async function renewTlsCertificate(options: TlsCertificateOptions): Promise<boolean> {
  const { keyPath, certificatePath, passphrase, names, reads, issuing, issueService, clock } = options;
  const own = await readOwnCertificate(options, reads, clock());
  const { authority } = issuing.preparer(PROFILE);
  const isCurrent =
    own.certificate?.verify(new X509Certificate(authority.certificate.raw).publicKey) ?? false;
  if (own.certificate && isCurrent && !own.isOld && missingNames(own.certificate, names).length === 0)
    return false;
  const key = own.key ?? generateKey('ec-p256');
  const issued = await issueService(
    {
      profile: issuing.profile(PROFILE),
      csr: createCsr(key),
      name: HOLDER,
      dns: names.filter((name) => isIP(name) === 0),
      ip: names.filter((name) => isIP(name) !== 0),
    },
    'system',
  );
  const chain = [issued.certificate, ...issued.chain].map((der) => toPem('CERTIFICATE', der)).join('');
  // Both were good for nothing until now, so it is no loss to crash between them.
  if (!own.key) writeKeyFile(keyPath, key, passphrase);
  writeDurably(certificatePath, chain, 0o644);
  return true;
}

/** Those of the names that are not the certificate's. */
export function missingNames(certificate: X509Certificate, names: readonly string[]): readonly string[] {
  return names.filter(
    (name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) === undefined,
  );
}

/** The listener's key and short chain: the leaf and what is between it and the root. */
export function readTlsContext({
  keyPath,
  certificatePath,
  passphrase,
}: TlsCertificateOptions): SecureContextOptions {
  return {
    key: readKeyFile(keyPath, passphrase).export({ type: 'pkcs8', format: 'pem' }),
    cert: readFileSync(certificatePath),
  };
}

/** The listener's own key and certificate, as they lie in the home. */
export function ownTlsIdentity(options: TlsCertificateOptions): TlsIdentity {
  return identityOfFiles([options.certificatePath, options.keyPath], () => readTlsContext(options));
}
