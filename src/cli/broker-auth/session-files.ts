import { createReadStream, existsSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SessionStore } from '../../broker-auth/ports.ts';
import { syncPath } from './sync-path.ts';

/** The file of a gate's live sessions, which only its owner may read. */
export function openSessionFiles(path: string): SessionStore {
  const fresh = `${path}.new`;
  return {
    read: () => (existsSync(path) ? createReadStream(path) : undefined),
    async begin() {
      const file = await open(fresh, 'w', 0o600);
      return {
        append: (lines) => file.appendFile(lines),
        sync: () => file.datasync(),
        async publish() {
          await file.sync();
          await rename(fresh, path);
          await syncPath(dirname(path));
        },
        close: () => file.close(),
      };
    },
  };
}
