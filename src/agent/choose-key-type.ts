import { BirthmarkError } from '../core/errors.ts';
import { readCertificate } from '../x509/certificate.ts';
import { type KeyType, typeOfKey } from './key/key-type.ts';
import type { AgentParts } from './parts.ts';

/**
 * The kind of key to make next: what the settings say, else what the authority asks for, which may be another one than the last
 * time; where it asks for none, or does not answer, the kind that the device has, else P-256.
 *
 * @throws BirthmarkError `key-algorithm-not-allowed` where the authority asks for one that is not made here
 */
export async function chooseKeyType({ keyType, authority, state }: AgentParts): Promise<KeyType> {
  if (keyType) return keyType;
  try {
    const wanted = await authority.wantedKey();
    if (wanted) return wanted;
  } catch (error) {
    // Whatever else: it says at enrollment what it does not take.
    if (!(error instanceof BirthmarkError) || error.code === 'key-algorithm-not-allowed') throw error;
  }
  const leaf = state.current()?.chain()?.[0];
  return (leaf && typeOfKey(readCertificate(leaf).tbs.spki)) ?? 'ec-p256';
}
