import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AuthorityRecord } from '../../ca/ports.ts';
import { equalBytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { createFileSigner, readKeyFile } from '../../keys/file-signer.ts';
import { readGivenCertificate } from '../../server/given-certificate.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Home } from '../home.ts';
import { type Check, failed, judgeTime, look, ok, warning } from './check.ts';

export interface KeysToCheck {
  readonly home: Home;
  readonly loaded: LoadedConfig;
  readonly authorities: readonly AuthorityRecord[];
  readonly passphrase: string;
  readonly now: number;
}

/** Keys open, lie safely and fit their certificates; chains hold; nothing is about to end. */
export async function checkKeys(given: KeysToCheck): Promise<Check[]> {
  const { authorities } = given;
  const checks: Check[] = [];
  for (const record of authorities) {
    checks.push(...(await look(`keys/${record.name}.key`, () => [checkAuthorityKey(record, given)])));
    checks.push(...(await look(`authority ${record.name}`, () => [checkChain(record, given)])));
  }
  for (const { name, issuer } of authorities) {
    if (name === issuer) continue;
    const renewed = 'start the server: it makes one';
    checks.push(
      ...(await look(`ocsp ${name}`, () => checkPair(`ocsp ${name}`, `ocsp-${name}`, renewed, given))),
    );
  }
  checks.push(...(await look('tls', () => checkTls(given))));
  return checks;
}

function checkAuthorityKey(record: AuthorityRecord, { home, passphrase }: KeysToCheck): Check {
  const name = `keys/${record.name}.key`;
  const { spki } = createFileSigner(readKeyFile(home.key(record.name), passphrase));
  return equalBytes(spki, parseCertificate(record.certificate).tbs.spki)
    ? ok(name, "opens, is its owner's alone, fits its certificate")
    : failed(name, 'is not the key in the certificate', 'put back the key file that init wrote');
}

function checkChain(record: AuthorityRecord, { authorities, now }: KeysToCheck): Check {
  const name = `authority ${record.name}`;
  const { notBefore, notAfter } = parseCertificate(record.certificate).tbs;
  const anchors = authorities.filter((one) => one.name === one.issuer).map((one) => one.certificate);
  if (record.name !== record.issuer) {
    const trust = openTrust({ anchors, intermediates: authorities.map((one) => one.certificate) });
    const at = Math.min(Math.max(now, notBefore.at), notAfter.at);
    const verdict = validatePath(record.certificate, { trust, at, purpose: 'any' });
    if (verdict.reason !== 'ok')
      return failed(name, `its chain does not hold: ${verdict.detail}`, 'restore the ledger from a backup');
  }
  const time = { notBefore: notBefore.at, notAfter: notAfter.at };
  return judgeTime(name, time, now, 'plan its successor: what it signed ends to be verified with it');
}

/** A key and a certificate of ours that the server renews by itself. */
function checkPair(
  name: string,
  file: string,
  todo: string,
  { home, passphrase, now }: KeysToCheck,
): Check[] {
  if (!existsSync(home.pem(file))) return [warning(name, 'has no certificate yet', todo)];
  const { spki } = createFileSigner(readKeyFile(home.key(file), passphrase));
  const { tbs } = readLeaf(home.pem(file));
  if (!equalBytes(spki, tbs.spki)) return [failed(name, 'its key is not the one in its certificate', todo)];
  return [judgeTime(name, { notBefore: tbs.notBefore.at, notAfter: tbs.notAfter.at }, now, todo)];
}

function checkTls(given: KeysToCheck): Check[] {
  const { home, loaded, passphrase, now } = given;
  const { tlsCertificateFile, tlsKeyFile, tlsNames } = loaded.config.listen;
  if (tlsCertificateFile === undefined || tlsKeyFile === undefined)
    return checkPair('tls', 'tls-listener', 'start the server: it renews it', given);
  const certificatePath = resolve(home.path, tlsCertificateFile);
  const { missingNames } = readGivenCertificate({
    certificatePath,
    keyPath: resolve(home.path, tlsKeyFile),
    passphrase,
    names: tlsNames,
    clock: systemClock,
  });
  const { tbs } = readLeaf(certificatePath);
  const time = { notBefore: tbs.notBefore.at, notAfter: tbs.notAfter.at };
  return [
    judgeTime('tls', time, now, `renew ${certificatePath}`),
    ...(missingNames.length > 0
      ? [
          warning(
            'tls names',
            `the certificate lacks ${missingNames.join(', ')}`,
            'have them added, or change listen.tlsNames',
          ),
        ]
      : []),
  ];
}

/** The first certificate of a file: the others are its chain. */
function readLeaf(path: string): Certificate {
  const [leaf = Buffer.alloc(0)] = parsePemBlocks(readFileSync(path, 'latin1'), ['CERTIFICATE'], path);
  return parseCertificate(leaf);
}
