import fs, { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createDurably, writeDurably } from '../../src/core/durable-file.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';

test('writes text and octets whole, with the mode that was asked for, and leaves nothing beside it', () => {
  const folder = temporaryFolder();
  writeDurably(join(folder, 'a'), 'ü'.repeat(100_000), 0o600);
  writeDurably(join(folder, 'b'), Uint8Array.of(0, 255), 0o644);
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('ü'.repeat(100_000));
  expect([...readFileSync(join(folder, 'b'))]).toEqual([0, 255]);
  expect(['a', 'b'].map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([0o600, 0o644]);
  expect(readdirSync(folder)).toEqual(['a', 'b']);
});

test('replaces a file, its mode too', () => {
  const path = join(temporaryFolder(), 'a');
  writeFileSync(path, 'long before', { mode: 0o644 });
  writeDurably(path, 'now', 0o600);
  expect(readFileSync(path, 'utf8')).toBe('now');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('takes away what a killed process left half written', () => {
  const folder = temporaryFolder();
  const path = join(folder, 'a');
  writeFileSync(`${path}.${process.pid}.new`, 'half', { mode: 0o644 });
  writeDurably(path, 'whole', 0o600);
  expect(readFileSync(path, 'utf8')).toBe('whole');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['a']);
});

test('fails without a trace where it cannot write', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'a'));
  expect(() => writeDurably(join(folder, 'nowhere', 'a'), 'x', 0o600)).toThrow();
  expect(() => writeDurably(join(folder, 'a'), 'x', 0o600)).toThrow();
  expect(readdirSync(folder)).toEqual(['a']);
});

test.each([
  ['with hard links', undefined],
  ['without', 'EPERM'],
])('what is there stays, and what is not is made, on a disk %s', (_disk, code) => {
  const folder = temporaryFolder();
  const path = join(folder, 'key');
  const { linkSync } = fs;
  if (code)
    Object.assign(fs, {
      linkSync: () => {
        throw Object.assign(new Error('no such thing here'), { code });
      },
    });
  syncBuiltinESMExports();
  try {
    expect(createDurably(path, 'first', 0o600)).toBe(true);
    expect(createDurably(path, 'second', 0o600)).toBe(false);
  } finally {
    Object.assign(fs, { linkSync });
    syncBuiltinESMExports();
  }
  expect(readFileSync(path, 'utf8')).toBe('first');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['key']);
});
