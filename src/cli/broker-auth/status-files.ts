import { once } from 'node:events';
import { appendFileSync, createReadStream, createWriteStream, existsSync, rmSync, statSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StatusStore } from '../../broker-auth/status/status-store.ts';
import { syncPath } from './sync-path.ts';

/**
 * The status store in two files: the signed snapshot, and beside it (`….since`) what the feed told after it. The second one
 * is not signed: who may write there could as well replace the program.
 */
export function openStatusFiles(path: string): StatusStore {
  const notes = `${path}.since`;
  const fresh = `${path}.${process.pid}.new`;
  return {
    readSnapshot: () => (existsSync(path) ? createReadStream(path) : undefined),
    writeSnapshot(source) {
      const file = createWriteStream(fresh, { flags: 'w', mode: 0o600 });
      // What goes wrong here is seen where it is written to.
      file.on('error', () => undefined);
      return {
        through: copying(source, file),
        async keep() {
          file.end();
          if (!file.writableFinished) await once(file, 'finish');
          await syncPath(fresh);
          await rename(fresh, path);
          rmSync(notes, { force: true });
          await syncPath(dirname(path));
        },
        async drop() {
          file.destroy();
          if (!file.closed) await once(file, 'close');
          rmSync(fresh, { force: true });
        },
      };
    },
    readNotes: () => (existsSync(notes) && statSync(notes).size > 0 ? createReadStream(notes) : undefined),
    // A line feed in front: what a crash left of the line before must not become a part of this one.
    note: (line) => appendFileSync(notes, `\n${line}\n`, { mode: 0o600 }),
  };
}

async function* copying(
  source: AsyncIterable<Uint8Array>,
  file: ReturnType<typeof createWriteStream>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    if (file.errored) throw file.errored;
    if (!file.write(piece)) await once(file, 'drain');
    yield piece;
  }
}
