/** Signature algorithms that we make or verify, with the digest of each as node:crypto calls it (null: hashes by itself). */
export const SIGNATURE_DIGESTS = {
  'ecdsa-sha256': 'sha256',
  'ecdsa-sha384': 'sha384',
  'ecdsa-sha512': 'sha512',
  ed25519: null,
  'rsa-sha256': 'sha256',
  'rsa-sha384': 'sha384',
  'rsa-sha512': 'sha512',
} as const;

export type SignatureAlgorithmName = keyof typeof SIGNATURE_DIGESTS;
