import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeDurably } from '../core/durable-file.ts';
import { BirthmarkError } from '../core/errors.ts';
import { readSecretFile } from '../core/secret-file.ts';

/** PKCS#8 as node:crypto writes it stretches a passphrase little (PBKDF2, 2,048 rounds), so length must do the work. */
const MIN_LENGTH = 16;

/** Where the passphrase of the key files comes from. */
export type PassphraseSource =
  | { readonly kind: 'given'; readonly passphrase: string; readonly from: string }
  | { readonly kind: 'file'; readonly path: string };

/**
 * Reads the passphrase.
 *
 * @throws BirthmarkError `passphrase-missing`, `passphrase-wrong` (too short), `key-file-permissions`, `key-file-unreadable`
 */
export function readPassphrase(source: PassphraseSource): string {
  const from = source.kind === 'given' ? source.from : source.path;
  if (source.kind === 'file' && !existsSync(source.path)) {
    throw new BirthmarkError(
      'passphrase-missing',
      `the passphrase of the keys is not in ${source.path}; put it back, or give it in BIRTHMARK_PASSPHRASE`,
    );
  }
  const passphrase =
    source.kind === 'given' ? source.passphrase : readSecretFile(source.path).replace(/\r?\n$/, '');
  if (passphrase.length < MIN_LENGTH) {
    throw new BirthmarkError(
      'passphrase-wrong',
      `the passphrase from ${from} has fewer than ${MIN_LENGTH} characters; take a longer one`,
    );
  }
  return passphrase;
}

/** Writes a passphrase of 256 random bits to a file that only its owner may read. */
export function generatePassphraseFile(path: string): string {
  const passphrase = randomBytes(32).toString('base64url');
  writeDurably(path, `${passphrase}\n`, 0o600);
  return passphrase;
}
