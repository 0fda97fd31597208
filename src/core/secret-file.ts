import { readFileSync, statSync } from 'node:fs';
import { BirthmarkError } from './errors.ts';

/**
 * Reads a file that holds a secret, if nobody but its owner may.
 *
 * @throws BirthmarkError `key-file-permissions`, `key-file-unreadable`
 */
export function readSecretFile(path: string): string {
  let mode: number;
  let content: string;
  try {
    mode = statSync(path).mode & 0o777;
    content = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new BirthmarkError(
      'key-file-unreadable',
      `${path} cannot be read; is it there, and does it belong to this user?`,
      { cause },
    );
  }
  if ((mode & 0o077) !== 0) {
    throw new BirthmarkError(
      'key-file-permissions',
      `${path} has mode 0${mode.toString(8)}: others on this machine may have read it; run chmod 600 on it, and replace what is in it if they could`,
    );
  }
  return content;
}
