import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { BirthmarkError } from './errors.ts';

const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);
const UNFINISHED = /\.\d+\.new$/;

/**
 * Writes a whole file or nothing: into a new file beside it, synced, then renamed over the old one, and the folder
 * synced, so that the name survives a power cut too.
 *
 * @param mode permission bits, 0o600 for what is secret
 * @throws BirthmarkError `home-unreadable` (disk full, no permission)
 */
export function writeDurably(path: string, content: string | Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.new`;
  try {
    writeSynced(temporary, content, mode);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw unwritable(path, cause);
  }
}

/**
 * The same where nothing may be there yet: of several who do it at once one succeeds.
 *
 * @returns false where the file is there already; it stays as it is
 * @throws BirthmarkError `home-unreadable`
 */
export function createDurably(path: string, content: string | Uint8Array, mode: number): boolean {
  const temporary = `${path}.${process.pid}.new`;
  try {
    writeSynced(temporary, content, mode);
    if (!takeName(temporary, path)) return false;
    syncFolder(dirname(path));
    return true;
  } catch (cause) {
    throw unwritable(path, cause);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A second name for the file, which fails where there is one; on a disk without such a thing of two at once the later wins. */
function takeName(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (existsSync(path)) return false;
    if (!(error instanceof Error && 'code' in error && NO_LINKS.has(String(error.code)))) throw error;
    renameSync(temporary, path);
    return true;
  }
}

/**
 * Removes from a folder what processes left that were killed while they wrote. Call it only where nobody else may be
 * writing there.
 */
export function removeUnfinished(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (UNFINISHED.test(name)) rmSync(join(folder, name), { force: true });
  }
}

function unwritable(path: string, cause: unknown): BirthmarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BirthmarkError(
    'home-unreadable',
    `${path} cannot be written (${reason}); make room or check who may write there, then try again`,
    { cause },
  );
}

function writeSynced(path: string, content: string | Uint8Array, mode: number): void {
  rmSync(path, { force: true });
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    const octets = typeof content === 'string' ? Buffer.from(content) : content;
    for (let written = 0; written < octets.length; ) written += writeSync(file, octets, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
