import type { SignatureAlgorithmName } from '../../core/signature-algorithm.ts';

/** The keys that a device can make. */
export const KEY_TYPES = ['ec-p256', 'ec-p384', 'ed25519', 'rsa-3072'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** What each signs with: a digest as strong as the key. */
export const SIGNS_WITH: Readonly<Record<KeyType, SignatureAlgorithmName>> = {
  'ec-p256': 'ecdsa-sha256',
  'ec-p384': 'ecdsa-sha384',
  ed25519: 'ed25519',
  'rsa-3072': 'rsa-sha256',
};
