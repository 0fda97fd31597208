import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { SIGNATURE_ALGORITHMS } from './algorithms.ts';
import { assembleSigned } from './certificate.ts';
import { constructed, encode, sequence } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { integer } from './der/values.ts';

/**
 * A PKCS#10 request with an empty subject and no attributes, DER: our CAs take names from what is known of the holder.
 *
 * @param key a P-256 private key
 */
export function createCsr(key: KeyObject): Buffer {
  const algorithm = SIGNATURE_ALGORITHMS['ecdsa-sha256'];
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = encode(sequence(integer(0), sequence(), spki, constructed(TAG.contextConstructed, [])));
  return assembleSigned(info, algorithm.der, sign('sha256', info, key));
}
