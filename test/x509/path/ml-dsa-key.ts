// Keys that our own authorities do not have, for certificates of others.
import { generateKeyPairSync } from 'node:crypto';
import { encode, sequence } from '../../../src/x509/der/encode.ts';
import { oid } from '../../../src/x509/der/values.ts';
import type { SampleKey } from '../samples.ts';

export const SIZES = [44, 65, 87] as const;
export type Size = (typeof SIZES)[number];
const OIDS = { 44: 17, 65: 18, 87: 19 } as const;

/** The algorithm is named Ed25519 as far as the tests' own signing goes: like that it hashes by itself. */
export function mlDsaKey(size: Size): SampleKey {
  const { publicKey, privateKey } = generateKeyPairSync(`ml-dsa-${size}`);
  const der = encode(sequence(oid(`2.16.840.1.101.3.4.3.${OIDS[size]}`)));
  return {
    privateKey,
    spki: publicKey.export({ format: 'der', type: 'spki' }),
    algorithm: { name: 'ed25519', keyKind: 'ed25519', der },
  };
}
