// A clock that commands run under and that the test sets (libfaketime).
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Folder } from './home.ts';

export interface MovingClock {
  readonly env: NodeJS.ProcessEnv;
  /** Sets it for everybody who runs under it; from then on it goes on as clocks do. */
  set(to: Date): void;
}

export function makeClock(folder: Folder, start: Date): MovingClock {
  const file = folder.fresh('clock');
  const clock: MovingClock = {
    env: {
      LD_PRELOAD: findLibrary(),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set: (to) => {
      const offset = (to.getTime() - Date.now()) / 1000;
      writeFileSync(`${file}.next`, `${offset < 0 ? '' : '+'}${offset.toFixed(3)}\n`);
      renameSync(`${file}.next`, file);
    },
  };
  clock.set(start);
  return clock;
}

/** Where Debian and its kin put it, whatever the machine's architecture. */
function findLibrary(): string {
  for (const folder of readdirSync('/usr/lib').filter((name) => name.endsWith('-linux-gnu'))) {
    const place = path.join('/usr/lib', folder, 'faketime');
    try {
      if (readdirSync(place).includes('libfaketimeMT.so.1')) return path.join(place, 'libfaketimeMT.so.1');
    } catch {
      // Not there; perhaps in the next one.
    }
  }
  throw new Error('libfaketimeMT.so.1 is not here; install faketime');
}
