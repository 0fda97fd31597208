import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { BirthmarkError } from '../../../core/errors.ts';
import { syncPath } from '../sync-path.ts';
import { MEMBER_MARK, memberLength } from './gzip-member.ts';

/** A file of gzip members, one behind the other, written at its end only. */
export interface RecordFile {
  readonly path: string;
  /** Octets. Takes hold of the file anew where another one lies at its place now. Throws `record-missing`. */
  size(): number;
  /**
   * Writes a member at the end and waits until the disk has it. What a full disk took of it is cut off again.
   *
   * Throws `record-broken` for good once the disk failed to sync: what it has is unknown from then on.
   */
  append(member: Uint8Array, end: number): void;
  /** Waits until the disk has what others wrote. Throws as `append` does. */
  sync(): void;
  /** Takes away what lies beyond. */
  cut(end: number): void;
  /**
   * The member at an offset. `torn` where it was begun and never finished, as a power cut leaves it: the file ends within
   * it, or only zeros follow, and no other member does. Anything else that is no member is `damaged`.
   */
  memberAt(offset: number, size: number): Buffer | 'torn' | 'damaged';
  /** Whether no member begins behind the one at that offset, whatever becomes of that. */
  isLast(offset: number, size: number): boolean;
  close(): void;
}

const HEAD_BYTES = 20;
const CHUNK_BYTES = 1024 * 1024;

/** Opens a record. Nothing is made: see `createRecordFile`. */
export function openRecordFile(path: string): RecordFile {
  let held: { readonly fd: number; readonly inode: number } | undefined;
  let failed: BirthmarkError | undefined;

  function close(): void {
    if (held) closeSync(held.fd);
    held = undefined;
  }

  function handle(): { readonly fd: number; readonly size: number } {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) throw missing(path);
    if (held?.inode !== found.ino) {
      close();
      held = { fd: openSync(path, 'r+'), inode: found.ino };
    }
    return { fd: held.fd, size: found.size };
  }

  function read(offset: number, length: number): Buffer {
    const octets = Buffer.alloc(length);
    const { fd } = handle();
    let at = 0;
    for (let got = -1; at < length && got !== 0; at += got)
      got = readSync(fd, octets, at, length - at, offset + at);
    return octets.subarray(0, at);
  }

  /** Whether what lies from here on is nothing but zeros, one member at most, or several: then the first is not the last. */
  function lookAhead(offset: number, size: number): 'zeros' | 'one' | 'several' {
    let zeros = true;
    for (let at = offset; at < size; at += CHUNK_BYTES) {
      const octets = read(at, Math.min(CHUNK_BYTES + MEMBER_MARK.length, size - at));
      if (octets.includes(MEMBER_MARK, at === offset ? 1 : 0)) return 'several';
      zeros &&= octets.every((octet) => octet === 0);
    }
    return zeros ? 'zeros' : 'one';
  }

  function cut(end: number): void {
    const { fd } = handle();
    ftruncateSync(fd, end);
    fdatasyncSync(fd);
  }

  function sync(): void {
    if (failed) throw failed;
    const { fd } = handle();
    try {
      fdatasyncSync(fd);
    } catch (error) {
      failed = diskFailed(path, error);
      throw failed;
    }
  }

  return {
    path,
    size: () => handle().size,
    sync,
    cut,
    close,
    append(member, end) {
      if (failed) throw failed;
      const { fd } = handle();
      try {
        for (let at = 0; at < member.length; ) at += writeSync(fd, member, at, member.length - at, end + at);
      } catch (error) {
        // Where even that fails, the next one to write finds a torn end and cuts it off.
        if (isNoRoom(error)) ftruncateSync(fd, end);
        throw isNoRoom(error) ? error : diskFailed(path, error);
      }
      sync();
    },
    isLast: (offset, size) => lookAhead(offset, size) !== 'several',
    memberAt(offset, size) {
      const length = memberLength(read(offset, Math.min(HEAD_BYTES, size - offset)));
      if (typeof length === 'number' && offset + length <= size) return read(offset, length);
      const rest = lookAhead(offset, size);
      return rest === 'zeros' || (rest === 'one' && length !== 'none') ? 'torn' : 'damaged';
    },
  };
}

/** Makes an empty record that only its owner may read, where there is none. */
export function createRecordFile(path: string): void {
  if (existsSync(path)) return;
  closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600));
  syncPath(dirname(path));
}

function isNoRoom(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

function diskFailed(path: string, cause: unknown): BirthmarkError {
  return new BirthmarkError(
    'record-broken',
    `the disk of the record ${path} failed to keep what was written; look at the system log, and start again when it is well`,
    { cause },
  );
}

function missing(path: string): BirthmarkError {
  return new BirthmarkError(
    'record-missing',
    `the record of this ledger is not at ${path}; put it back, or name its place in birthmark.toml ([ledger] record). ` +
      'If it is lost for good: birthmark restore --begin-record',
  );
}
