import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { asBuffer } from '../core/bytes.ts';
import { createDurably, writeDurably } from '../core/durable-file.ts';
import { BirthmarkError } from '../core/errors.ts';
import { readSecretFile } from '../core/secret-file.ts';
import { SIGNATURE_DIGESTS, type SignatureAlgorithmName } from '../core/signature-algorithm.ts';
import { type AuthorityKeyAlgorithm, generateKey, signatureAlgorithmOf } from './key-algorithm.ts';
import type { Signer } from './signer.ts';

/**
 * Makes a key and writes it as `writeKeyFile` does. An existing file is never overwritten.
 *
 * @throws BirthmarkError `already-exists`
 */
export function createKeyFile(path: string, algorithm: AuthorityKeyAlgorithm, passphrase: string): KeyObject {
  const key = generateKey(algorithm);
  if (createDurably(path, encryptedKey(key, passphrase), 0o600)) return key;
  throw new BirthmarkError('already-exists', `${path} is there already and is not overwritten`);
}

/**
 * Makes a key file where there is none, or reads the one that is there: of several who ask at once all get the same key.
 *
 * @throws BirthmarkError `key-algorithm-not-allowed` where it is of another algorithm, or as `readKeyFile`
 */
export function obtainKeyFile(path: string, algorithm: AuthorityKeyAlgorithm, passphrase: string): KeyObject {
  const made = generateKey(algorithm);
  if (createDurably(path, encryptedKey(made, passphrase), 0o600)) return made;
  const key = readKeyFile(path, passphrase);
  if (signatureAlgorithmOf(key) === signatureAlgorithmOf(made)) return key;
  throw new BirthmarkError(
    'key-algorithm-not-allowed',
    `${path} holds a key of another algorithm than ${algorithm}, which an attempt before has left; ask for that one, or remove the file`,
    { field: 'algorithm' },
  );
}

/** Writes a key as encrypted PKCS#8 (PBES2, AES-256-CBC), mode 0600, over what was there. */
export function writeKeyFile(path: string, key: KeyObject, passphrase: string): void {
  writeDurably(path, encryptedKey(key, passphrase), 0o600);
}

function encryptedKey(key: KeyObject, passphrase: string): string | Buffer {
  return key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
}

/**
 * Reads a key file.
 *
 * @throws BirthmarkError `key-file-permissions`, `key-file-unreadable`, `passphrase-wrong`
 */
export function readKeyFile(path: string, passphrase: string): KeyObject {
  const pem = readSecretFile(path);
  if (!pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----')) {
    throw new BirthmarkError(
      'key-file-unreadable',
      `${path} is not an encrypted PKCS#8 key in PEM; put back the file that init wrote`,
    );
  }
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (cause) {
    throw new BirthmarkError(
      'passphrase-wrong',
      `the passphrase does not open ${path}, or the file is damaged`,
      { cause },
    );
  }
}

/**
 * A signer whose key lies in memory. Signs synchronously, since for P-256 and Ed25519 the thread pool costs more than it
 * saves, unless there is much to hash.
 *
 * @param isAlone nobody waits for this thread: much is hashed in it too, without a copy for another one
 * @throws BirthmarkError `key-algorithm-not-allowed`, `key-file-unreadable` where the key's two halves are no pair
 */
export function createFileSigner(key: KeyObject, isAlone = false): Signer {
  const algorithm = signatureAlgorithmOf(key);
  if (!algorithm) throw notAnAuthorityKey();
  const publicKey = createPublicKey(key);
  refuseNoPair(key, publicKey, algorithm);
  return {
    algorithm,
    spki: publicKey.export({ type: 'spki', format: 'der' }),
    sign: (tbs) => (isAlone ? sign(SIGNATURE_DIGESTS[algorithm], tbs, key) : signWith(key, algorithm, tbs)),
  };
}

/**
 * A signer for a key that is needed once in days: it is read for each signature and forgotten, so that no process holds
 * it meanwhile. Signing throws `key-file-unreadable` where what was read is not that key.
 *
 * @param spki the key's SubjectPublicKeyInfo, DER
 * @param read reads the private key
 * @throws BirthmarkError `key-algorithm-not-allowed`
 */
export function createColdSigner(spki: Uint8Array, read: () => KeyObject): Signer {
  const publicKey = createPublicKey({ key: asBuffer(spki), format: 'der', type: 'spki' });
  const algorithm = signatureAlgorithmOf(publicKey);
  if (!algorithm) throw notAnAuthorityKey();
  return {
    algorithm,
    spki,
    sign: (tbs) => {
      const key = read();
      refuseNoPair(key, publicKey, algorithm);
      return signWith(key, algorithm, tbs);
    },
  };
}

/** Hashed within some milliseconds. */
const MUCH = 2 * 1024 * 1024;

function signWith(
  key: KeyObject,
  algorithm: SignatureAlgorithmName,
  tbs: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const digest = SIGNATURE_DIGESTS[algorithm];
  if (tbs.length < MUCH) return sign(digest, tbs, key);
  return new Promise((resolve, reject) => {
    sign(digest, tbs, key, (error, signature) => {
      if (error) reject(error);
      else resolve(signature);
    });
  });
}

const TRIAL = Buffer.from('a trial of a key');

/** The encryption of key files does not notice a changed octet, and a file may be another key's: one trial tells. */
function refuseNoPair(key: KeyObject, publicKey: KeyObject, algorithm: SignatureAlgorithmName): void {
  const digest = SIGNATURE_DIGESTS[algorithm];
  if (signatureAlgorithmOf(key) === algorithm && verify(digest, TRIAL, publicKey, sign(digest, TRIAL, key)))
    return;
  throw new BirthmarkError(
    'key-file-unreadable',
    'a key file holds another key than it should, or is damaged; put back the file that init wrote',
  );
}

function notAnAuthorityKey(): BirthmarkError {
  return new BirthmarkError('key-algorithm-not-allowed', 'an authority signs with P-256, P-384 or Ed25519');
}
