import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BirthmarkError } from '../../core/errors.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { SIGNATURE_DIGESTS, type SignatureAlgorithmName } from '../../core/signature-algorithm.ts';
import { parsePublicKey } from '../../x509/public-key.ts';
import type { DeviceKey, KeyStore } from '../ports.ts';
import type { Disk } from '../state/disk.ts';
import type { KeyType } from './key-type.ts';

export const KEY_FILE = 'key.pem';

/**
 * Keys as PKCS#8 files of mode 0600, one in each credential's folder. They are not encrypted: whoever could read the file could
 * read the passphrase of a device that starts by itself.
 */
export function fileKeys(disk: Disk): KeyStore {
  return {
    has: (_name, folder) => existsSync(join(folder, KEY_FILE)),
    make: (_name, folder, type) => disk.write(join(folder, KEY_FILE), toPkcs8(generate(type)), 0o600),
    open: (_name, folder) => readFileKey(join(folder, KEY_FILE)),
    // It goes with its folder.
    destroy: () => undefined,
  };
}

/**
 * The key in a file: PKCS#8 or the older forms, PEM, not encrypted.
 *
 * @throws BirthmarkError `key-file-permissions`, `key-file-unreadable`, `key-algorithm-not-allowed`
 */
export function readFileKey(path: string): DeviceKey {
  const pem = readSecretFile(path);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new BirthmarkError('key-file-unreadable', `${path} holds no private key that can be read in PEM`, {
      cause,
    });
  }
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const algorithm = algorithmFor(spki);
  return {
    spki,
    algorithm,
    sign: (tbs) => sign(SIGNATURE_DIGESTS[algorithm], tbs, key),
    tls: () => ({ key: toPkcs8(key) }),
  };
}

/** @throws BirthmarkError `key-algorithm-not-allowed`, `key-unreadable` */
export function algorithmFor(spki: Uint8Array): SignatureAlgorithmName {
  const key = parsePublicKey(spki);
  if (key.kind === 'ed25519') return 'ed25519';
  if (key.kind === 'rsa') return 'rsa-sha256';
  return ({ 'P-256': 'ecdsa-sha256', 'P-384': 'ecdsa-sha384', 'P-521': 'ecdsa-sha512' } as const)[key.curve];
}

function generate(type: KeyType): KeyObject {
  switch (type) {
    case 'ec-p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'ec-p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    case 'ec-p521':
      return generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'rsa-2048':
    case 'rsa-3072':
    case 'rsa-4096':
      return generateKeyPairSync('rsa', { modulusLength: Number(type.slice('rsa-'.length)) }).privateKey;
  }
}

function toPkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
