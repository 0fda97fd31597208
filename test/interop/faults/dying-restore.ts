// Loaded before a command of ours: the process is gone, as in a power cut, before the Nth change that it makes to the
// names and files of a disk. `DIE_BEFORE` is N; a command that ends before it was never in danger.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let left = Number(process.env.DIE_BEFORE);

function dying<Given extends readonly unknown[], Outcome>(
  act: (...given: Given) => Outcome,
): (...given: Given) => Outcome {
  return (...given) => {
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
    return act(...given);
  };
}

const { renameSync, linkSync, copyFileSync, fsyncSync } = fs;
Object.assign(fs, {
  renameSync: dying(renameSync),
  linkSync: dying(linkSync),
  copyFileSync: dying(copyFileSync),
  fsyncSync: dying(fsyncSync),
});
syncBuiltinESMExports();
