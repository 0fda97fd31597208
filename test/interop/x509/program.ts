import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Whether the program is there to be run. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ['--help']).error === undefined;
}

/** A folder of its own in which programs run. */
export class Workplace {
  readonly folder: string = mkdtempSync(path.join(tmpdir(), 'birthmark-interop-'));

  /** Standard output and standard error of a program, which must end well. */
  run(program: string, words: readonly string[]): { readonly out: Buffer; readonly text: string } {
    const { status, stdout, stderr, error } = spawnSync(program, words, { cwd: this.folder });
    if (error) throw error;
    const text = `${stdout.toString('latin1')}\n${stderr.toString('latin1')}`;
    if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${text}`);
    return { out: stdout, text };
  }

  /** Writes a file and gives its name. */
  write(name: string, content: string | Uint8Array): string {
    writeFileSync(path.join(this.folder, name), content);
    return name;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
