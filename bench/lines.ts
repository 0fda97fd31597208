import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAKER = fileURLToPath(new URL('make-lines.ts', import.meta.url));

/** Makes device lines with fresh keys beforehand, one file for each connection, each by a process of its own. */
export async function makeLines(
  folder: string,
  first: number,
  lines: number,
  files: number,
): Promise<string[]> {
  const each = Math.ceil(lines / files);
  return Promise.all(
    Array.from({ length: files }, async (_, at) => {
      const path = join(folder, `devices-${first}-${at}.ndjson`);
      const maker = spawn(process.execPath, [MAKER, path, String(first + at * each), String(each)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [code] = await once(maker, 'exit');
      if (code !== 0) throw new Error('the lines could not be made');
      return path;
    }),
  );
}
