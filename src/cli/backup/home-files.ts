import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { removeUnfinished, writeDurably } from '../../core/durable-file.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { HomeFile } from '../../store/sqlite/backup/write-backup.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Home } from '../home.ts';

const PASSPHRASE = 'keys/passphrase';
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}$/;

/** Where the passphrase file of a home is, when it is the one that a backup may take along. */
export function ownPassphraseFile(home: Home, { config }: LoadedConfig): string | undefined {
  const path = resolve(home.path, config.keys.passphraseFile);
  return path === join(home.path, PASSPHRASE) && existsSync(path) ? path : undefined;
}

/** What a home needs beside its ledger: configuration, encrypted keys, certificates; the passphrase only when it is asked for. */
export function collectHomeFiles(home: Home, withPassphrase: boolean): HomeFile[] {
  const names = (folder: string) =>
    existsSync(folder) ? readdirSync(folder).filter((name) => NAME.test(name) && !name.endsWith('.new')) : [];
  const paths = [
    'birthmark.toml',
    ...names(home.keys)
      .map((name) => `keys/${name}`)
      .filter((path) => path.endsWith('.key') || (withPassphrase && path === PASSPHRASE)),
    ...names(home.pki).map((name) => `pki/${name}`),
  ];
  return paths.map((path) => {
    const full = join(home.path, path);
    return { path, mode: statSync(full).mode & 0o777, content: readFileSync(full) };
  });
}

/**
 * Puts back the files that a home lacks. What is there stays.
 *
 * @returns which were put back, and which differ from those that are there
 * @throws BirthmarkError `backup-invalid` where the home that is there is another one
 */
export function putBackFiles(
  home: Home,
  files: readonly HomeFile[],
): { readonly written: readonly string[]; readonly differ: readonly string[] } {
  const present = new Map(
    files.flatMap(({ path }) => {
      const full = join(home.path, path);
      return existsSync(full) ? [[path, readFileSync(full)] as const] : [];
    }),
  );
  const differ = files.flatMap(({ path, content }) => {
    const there = present.get(path);
    return there !== undefined && !there.equals(content) ? [path] : [];
  });
  if (differ.includes('pki/root.pem'))
    throw new BirthmarkError(
      'backup-invalid',
      `the backup is of another home: its root is not the one in ${home.pem('root')}; name another --home`,
    );
  for (const folder of [home.path, home.keys, home.pki]) removeUnfinished(folder);
  mkdirSync(home.keys, { recursive: true, mode: 0o700 });
  const missing = files.filter(({ path }) => !present.has(path));
  for (const { path, mode, content } of missing) {
    const full = join(home.path, path);
    mkdirSync(dirname(full), { recursive: true });
    writeDurably(full, content, path.startsWith('keys/') ? 0o600 : mode & 0o644);
  }
  return { written: missing.map(({ path }) => path), differ };
}
