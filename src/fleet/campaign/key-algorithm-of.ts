import { algorithmOf, type KeyAlgorithm } from '../../ca/key-policy/check-public-key.ts';
import type { CertificateRecord } from '../../ca/ports.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readTbsCertificate } from '../../x509/certificate.ts';
import { parsePublicKey } from '../../x509/public-key.ts';

/** What the key of a certificate is; undefined where it is none that this program knows. */
export function keyAlgorithmOf({ tbs }: Pick<CertificateRecord, 'tbs'>): KeyAlgorithm | undefined {
  try {
    return algorithmOf(parsePublicKey(readTbsCertificate(tbs).spki));
  } catch (error) {
    if (error instanceof BirthmarkError) return undefined;
    throw error;
  }
}
