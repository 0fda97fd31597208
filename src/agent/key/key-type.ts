import { parsePublicKey } from '../../x509/public-key.ts';

/** The keys that a device can make. */
export const KEY_TYPES = [
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'ed25519',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** The type of that name, if there is one. */
export function findKeyType(name: string): KeyType | undefined {
  return KEY_TYPES.find((type) => type === name);
}

/**
 * The type of a key that is there; undefined for one that we would not make.
 *
 * @throws BirthmarkError as `parsePublicKey`
 */
export function typeOfKey(spki: Uint8Array): KeyType | undefined {
  const key = parsePublicKey(spki);
  switch (key.kind) {
    case 'ed25519':
      return 'ed25519';
    case 'rsa':
      return findKeyType(`rsa-${key.bits}`);
    case 'ec':
      return findKeyType(`ec-${key.curve.toLowerCase().replace('-', '')}`);
  }
}
