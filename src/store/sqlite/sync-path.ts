import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Waits until the disk has a file, or a folder's names. Never of a ledger that this process has open: that drops its locks. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
