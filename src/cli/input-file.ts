import { readFileSync } from 'node:fs';
import { BirthmarkError, type ErrorCode } from '../core/errors.ts';
import { type PemLabel, parsePemBlocks } from '../x509/pem.ts';

/** How an error about a file is told. */
export interface FileErrors {
  readonly code: ErrorCode;
  /** The option that named the file, as `--csr`. */
  readonly option?: string;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder',
};

/**
 * The octets of a file that a command was given; `-` is standard input.
 *
 * @throws BirthmarkError the code of `errors`, with why it cannot be read
 */
export function readInput(path: string, { code, option }: FileErrors): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    const name = option === undefined ? path : `${option} ${path}`;
    throw new BirthmarkError(code, `${name} cannot be read: ${REASONS[errno] ?? errno}`, {
      cause,
      ...(option === undefined ? {} : { field: option.replace(/^--/, '') }),
    });
  }
}

/**
 * What a PEM file holds, or the one thing that a DER file is.
 *
 * @throws BirthmarkError as `readInput` and `parsePemBlocks`
 */
export function readBlocks(path: string, label: PemLabel, errors: FileErrors): readonly Buffer[] {
  const content = readInput(path, errors);
  return isPem(content) ? parsePemBlocks(content.toString('latin1'), [label], path) : [content];
}

/**
 * PEM as it is, and DER as the text that the API takes in its place.
 *
 * @throws BirthmarkError as `readInput`
 */
export function readAsText(path: string, encodeDer: (der: Buffer) => string, errors: FileErrors): string {
  const content = readInput(path, errors);
  return isPem(content) ? content.toString('latin1') : encodeDer(content);
}

function isPem(content: Buffer): boolean {
  return content.includes('-----BEGIN');
}
