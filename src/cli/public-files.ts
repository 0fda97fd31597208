import { existsSync, readFileSync } from 'node:fs';
import type { AuthorityRecord, CrossCertificate } from '../ca/ports.ts';
import { writeDurably } from '../core/durable-file.ts';
import { toPem } from '../x509/pem.ts';
import type { Home } from './home.ts';

/**
 * The certificates for other people's programs; made again from the ledger where they are missing. The bundle has all that
 * may be met or will be, so not what is retired, and not what roots certified of each other: it has the roots themselves.
 */
export function writePublicFiles(
  home: Home,
  authorities: readonly AuthorityRecord[],
  crossCertificates: readonly CrossCertificate[],
): void {
  const pem = (certificate: Uint8Array) => toPem('CERTIFICATE', certificate);
  const files = new Map(authorities.map(({ name, certificate }) => [home.pem(name), pem(certificate)]));
  for (const { subject, issuer, certificate } of crossCertificates)
    files.set(home.pem(`${subject}-by-${issuer}`), pem(certificate));
  const known = authorities.filter(({ state }) => state !== 'retired');
  files.set(home.pem('bundle'), known.map(({ certificate }) => pem(certificate)).join(''));
  for (const [path, content] of files) {
    if (!existsSync(path) || readFileSync(path, 'utf8') !== content) writeDurably(path, content, 0o644);
  }
}
