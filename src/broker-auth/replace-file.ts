import { constants } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BirthmarkError } from '../core/errors.ts';

/**
 * Writes a whole file or nothing: into a new file beside it, synced, then renamed over the old one, and the folder synced.
 *
 * @param mode permission bits
 * @param check looks at what the new file holds, read again, before it takes the place of the old; may throw
 * @throws BirthmarkError `home-unreadable` (disk full, no permission)
 */
export async function replaceFile(
  path: string,
  content: Uint8Array,
  mode: number,
  check?: (octets: Buffer) => void,
): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await rm(temporary, { force: true });
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
    try {
      await file.writeFile(content);
      // What the process masks is not to keep the broker from reading it.
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    check?.(await readFile(temporary));
    await rename(temporary, path);
    const folder = await open(dirname(path));
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError(
      'home-unreadable',
      `${path} cannot be written (${reason}); make room or check who may write there`,
      { cause },
    );
  }
}
