import { hkdfSync, type KeyObject } from 'node:crypto';

/**
 * 32 octets that every process with that private key finds alike, which nobody else can guess, and which tell nothing of the
 * key (HKDF with SHA-256, RFC 5869).
 *
 * @param purpose different purposes have secrets that have nothing to do with each other
 */
export function deriveSecret(key: KeyObject, purpose: string): Uint8Array {
  const material = key.export({ type: 'pkcs8', format: 'der' });
  try {
    return new Uint8Array(hkdfSync('sha256', material, '', `birthmark ${purpose}`, 32));
  } finally {
    material.fill(0);
  }
}
