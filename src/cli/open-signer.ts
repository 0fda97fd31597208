import type { AuthorityRecord } from '../ca/ports.ts';
import { createColdSigner, createFileSigner, readKeyFile } from '../keys/file-signer.ts';
import type { Signer } from '../keys/signer.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { Home } from './home.ts';

/**
 * A root signs a list every few days and hardly anything else: its key stays on disk until then.
 *
 * @param isAlone as `createFileSigner`
 */
export function openSigner(home: Home, record: AuthorityRecord, passphrase: string, isAlone = false): Signer {
  const read = () => readKeyFile(home.key(record.name), passphrase);
  if (record.issuer === record.name)
    return createColdSigner(parseCertificate(record.certificate).tbs.spki, read);
  return createFileSigner(read(), isAlone);
}
