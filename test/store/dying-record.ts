// Loaded before a program of ours: the process is gone, as in a power cut, at a step of writing to the record.
// `DIE_AT` is `half` (of the frame is written), `written` (and not synced) or `synced` (and not committed); `DIE_TIMES`
// is how many frames go well before.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { DIE_AT, DIE_TIMES = '0' } = process.env;
let left = Number(DIE_TIMES);
const { writeSync, fdatasyncSync } = fs;

const isRecord = (fd: number) => fs.readlinkSync(`/proc/self/fd/${fd}`).endsWith('ledger.record');
const die = () => process.kill(process.pid, 'SIGKILL');

function dyingWrite(
  fd: number,
  octets: Uint8Array,
  at?: number,
  length = octets.length,
  position?: number,
): number {
  if (left > 0 || !isRecord(fd)) return writeSync(fd, octets, at, length, position);
  if (DIE_AT === 'half') {
    writeSync(fd, octets, at, Math.floor(length / 2), position);
    die();
  }
  const written = writeSync(fd, octets, at, length, position);
  if (DIE_AT === 'written') die();
  return written;
}

function dyingSync(fd: number): void {
  fdatasyncSync(fd);
  if (!isRecord(fd)) return;
  if (left <= 0 && DIE_AT === 'synced') die();
  left -= 1;
}

Object.assign(fs, { writeSync: dyingWrite, fdatasyncSync: dyingSync });
syncBuiltinESMExports();
