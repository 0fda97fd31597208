import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// biome.json holds the import table; here every import that it must refuse, and its allowed twin, is planted and linted.

const root = fileURLToPath(new URL('..', import.meta.url));

/** Which rooms a room may import (docs/architecture.md). */
const table: Readonly<Record<string, readonly string[]>> = {
  core: [],
  x509: ['core'],
  keys: ['core'],
  ca: ['core', 'x509', 'keys'],
  fleet: ['core', 'x509', 'ca'],
  enroll: ['core', 'x509', 'ca', 'fleet'],
  'broker-auth': ['core', 'x509'],
  store: ['core'],
  server: ['core', 'x509', 'keys', 'ca', 'fleet', 'enroll', 'broker-auth', 'agent'],
  agent: ['core', 'x509'],
  cli: ['core', 'x509', 'keys', 'ca', 'fleet', 'enroll', 'broker-auth', 'store', 'server', 'agent'],
};
const rooms = Object.keys(table);

/** One door a library: the files, of those below, that may import it. */
const doors: Readonly<Record<string, readonly string[]>> = {
  pkijs: ['src/x509/a.ts'],
  asn1js: ['src/x509/a.ts'],
  '@peculiar/x509': ['src/x509/a.ts'],
  '@peculiar/asn1-schema': ['src/x509/a.ts'],
  'better-sqlite3': ['src/store/a.ts', 'src/store/sqlite/a.ts'],
  kysely: ['src/store/a.ts', 'src/store/sqlite/a.ts'],
  'kysely/migration': ['src/store/a.ts', 'src/store/sqlite/a.ts'],
  fastify: ['src/server/a.ts', 'src/enroll/est/routes.ts', 'src/broker-auth/http.ts'],
  aedes: ['src/broker-auth/adapters/aedes/a.ts'],
  ws: ['src/broker-auth/adapters/aedes/a.ts'],
  '@fastify/helmet': ['src/server/a.ts', 'src/enroll/est/routes.ts', 'src/broker-auth/http.ts'],
};
const files = [
  ...rooms.map((room) => `src/${room}/a.ts`),
  'src/store/sqlite/a.ts',
  'src/enroll/est/codec.ts',
  'src/enroll/est/routes.ts',
  'src/broker-auth/http.ts',
  'src/broker-auth/adapters/aedes/a.ts',
];

interface Line {
  readonly file: string;
  readonly text: string;
  readonly isAllowed: boolean;
}

const lines: readonly Line[] = [
  ...rooms.flatMap((room) =>
    rooms
      .filter((other) => other !== room)
      .flatMap((other) => [
        importing(`../${other}/b.ts`, `src/${room}/a.ts`, table[room]?.includes(other)),
        importing(`../../${other}/deeper/b.ts`, `src/${room}/deep/a.ts`, table[room]?.includes(other)),
      ]),
  ),
  ...rooms.map((room) => importing(`../../${room}/ports.ts`, 'src/store/sqlite/a.ts', true)),
  importing('../../store/b.ts', 'src/enroll/est/routes.ts', false),
  importing('../server/b.ts', 'src/broker-auth/http.ts', false),
  importing('./store/b.ts', 'src/ca/a.ts', true),
  importing('../../src/store/b.ts', 'test/store/a.test.ts', true),
  importing('better-sqlite3', 'bench/a.ts', true),
  ...Object.entries(doors).flatMap(([library, open]) =>
    files.map((file) => importing(library, file, open.includes(file))),
  ),
  ...rooms.flatMap((room) => [
    { file: `src/${room}/a.ts`, text: 'export const now = Date.now();', isAllowed: room === 'cli' },
    { file: `src/${room}/a.ts`, text: 'export const home = process.env.HOME;', isAllowed: room === 'cli' },
  ]),
];

function importing(specifier: string, file: string, isAllowed = false): Line {
  return { file, text: `import '${specifier}';`, isAllowed };
}

describe('the linter', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'import-table-'));
  let refused: ReadonlySet<Line>;
  beforeAll(() => {
    refused = lint(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('knows every room that there is', () => {
    expect(readdirSync(path.join(root, 'src')).filter((name) => !rooms.includes(name))).toEqual([]);
  });

  test.each([...Map.groupBy(lines, (line) => line.file)])(
    'refuses in %s what does not belong there, and nothing else',
    (_file, content) => {
      const judged = content.map((line) => ({ ...line, isAllowed: !refused.has(line) }));
      expect(judged).toEqual(content);
    },
  );
});

/** Lays the lines out as a project in `folder`, lints it with our settings, and returns the lines complained of. */
function lint(folder: string): ReadonlySet<Line> {
  const byFile = Map.groupBy(lines, (line) => line.file);
  for (const [file, content] of byFile) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), content.map((line) => `${line.text}\n`).join(''));
  }
  for (const name of ['biome.json', 'package.json', 'scripts']) {
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  }
  const biome = path.join(root, 'node_modules/.bin/biome');
  const words = ['lint', '--vcs-enabled=false', '--reporter=github', '--max-diagnostics=none'];
  const { stdout } = spawnSync(biome, words, { cwd: folder, encoding: 'utf8' });
  const ours = '(?:lint/style/noRestrictedImports|lint/style/noProcessEnv|plugin)';
  const complaint = new RegExp(
    `^::error title=${ours},file=(?:.*?/)?((?:src|test|bench)/[^,]*),line=(\\d+),`,
    'gm',
  );
  const found = stdout.matchAll(complaint);
  return new Set([...found].flatMap(([, file = '', line]) => byFile.get(file)?.[Number(line) - 1] ?? []));
}
