import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../../../integrations/mosquitto', import.meta.url));

/** Whether the plugin can be built here: a compiler, Mosquitto's headers and OpenSSL's. */
export const canBuild = spawnSync('make', ['-s', '-C', SOURCES, 'headers']).status === 0;

/** Builds a target of integrations/mosquitto/Makefile, where it is not built; gives its path. */
export function buildPart(
  name: 'birthmark.so' | 'check' | 'birthmark-sanitized.so' | 'check-sanitized',
): string {
  const { status, stderr } = spawnSync('make', ['-s', '-C', SOURCES, `build/${name}`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`make build/${name} ended with ${status}:\n${stderr}`);
  return path.join(SOURCES, 'build', name);
}

/** Answers of `check`, a line for each that is asked. */
export function askCheck(
  program: string,
  words: readonly string[],
  lines: readonly string[],
): readonly string[] {
  const input = lines.map((line) => `${line}\n`).join('');
  const { status, stdout, stderr } = spawnSync(program, words, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`check ${words.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
  return stdout.trimEnd().split('\n');
}

export function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}
