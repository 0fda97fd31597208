import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { BirthmarkError } from '../core/errors.ts';
import type { SignatureAlgorithmName } from '../core/signature-algorithm.ts';

/** What an authority's key may be. */
export const KEY_ALGORITHMS = ['ec-p256', 'ec-p384', 'ed25519'] as const;
export type AuthorityKeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** The signature algorithm that goes with a key: a digest as strong as the curve (IEEE 802.1AR-2018 signature suites). */
const SIGNS_WITH: Readonly<Record<AuthorityKeyAlgorithm, SignatureAlgorithmName>> = {
  'ec-p256': 'ecdsa-sha256',
  'ec-p384': 'ecdsa-sha384',
  ed25519: 'ed25519',
};

/** The kind of key that signs with an algorithm. */
export function keyAlgorithmFor(name: SignatureAlgorithmName): AuthorityKeyAlgorithm {
  const found = KEY_ALGORITHMS.find((algorithm) => SIGNS_WITH[algorithm] === name);
  if (!found) throw new BirthmarkError('internal', `no authority signs with ${name}`);
  return found;
}

export function generateKey(algorithm: AuthorityKeyAlgorithm): KeyObject {
  switch (algorithm) {
    case 'ec-p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'ec-p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
  }
}

/** The signature algorithm of a private key, or undefined where it is none that an authority may have. */
export function signatureAlgorithmOf(key: KeyObject): SignatureAlgorithmName | undefined {
  if (key.asymmetricKeyType === 'ed25519') return SIGNS_WITH.ed25519;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return SIGNS_WITH['ec-p256'];
  return curve === 'secp384r1' ? SIGNS_WITH['ec-p384'] : undefined;
}
