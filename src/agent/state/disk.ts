import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeDurably } from '../../core/durable-file.ts';

/**
 * What changes a state folder. Each call is whole or has not happened, whenever the power fails, and is on the disk when it comes
 * back; nothing else may write there.
 */
export interface Disk {
  readonly write: (path: string, content: string | Uint8Array, mode: number) => void;
  /** Makes a folder, mode 0700, where there is none. */
  readonly makeFolder: (path: string) => void;
  /** Makes a symbolic link, also over another one. */
  readonly link: (path: string, target: string) => void;
  /** Removes a file, a link or a folder with all that is in it; a folder may be left in part. */
  readonly remove: (path: string) => void;
}

export const disk: Disk = {
  write: writeDurably,
  makeFolder: (path) => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    syncFolder(dirname(path));
  },
  link: (path, target) => {
    const temporary = `${path}.${process.pid}.new`;
    rmSync(temporary, { force: true });
    symlinkSync(target, temporary);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  },
  remove: (path) => {
    rmSync(path, { recursive: true, force: true });
    syncFolder(dirname(path));
  },
};

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
