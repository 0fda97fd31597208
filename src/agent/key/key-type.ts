/** The keys that a device can make. */
export const KEY_TYPES = ['ec-p256', 'ec-p384', 'ed25519', 'rsa-3072'] as const;
export type KeyType = (typeof KEY_TYPES)[number];
