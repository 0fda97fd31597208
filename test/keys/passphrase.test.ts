import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generatePassphraseFile, readPassphrase } from '../../src/keys/passphrase.ts';
import { codeOf } from '../x509/code-of.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('a generated passphrase has 256 bits, lies in a file for its owner only, and is read back', () => {
  const path = join(temporaryFolder(), 'passphrase');
  const passphrase = generatePassphraseFile(path);
  expect(Buffer.from(passphrase, 'base64url')).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readPassphrase({ kind: 'file', path })).toBe(passphrase);
  expect(generatePassphraseFile(path)).not.toBe(passphrase);
});

describe('a passphrase', () => {
  test.each([
    ['of 16 characters is taken', '0123456789abcdef', 'accepted'],
    ['of 15 characters is refused', '0123456789abcde', 'passphrase-wrong'],
    ['of no character is refused', '', 'passphrase-wrong'],
  ])('%s, from a file and from the environment', (_title, passphrase, code) => {
    const path = join(temporaryFolder(), 'passphrase');
    writeFileSync(path, `${passphrase}\n`, { mode: 0o600 });
    expect(codeOf(() => readPassphrase({ kind: 'file', path }))).toBe(code);
    expect(codeOf(() => readPassphrase({ kind: 'given', passphrase, from: 'BIRTHMARK_PASSPHRASE' }))).toBe(
      code,
    );
  });

  test.each([
    ['a line feed', '\n'],
    ['a carriage return and a line feed', '\r\n'],
    ['nothing', ''],
  ])('ends before %s of its file, and keeps its spaces', (_title, end) => {
    const path = join(temporaryFolder(), 'passphrase');
    writeFileSync(path, ` sixteen letters ${end}`, { mode: 0o600 });
    expect(readPassphrase({ kind: 'file', path })).toBe(' sixteen letters ');
  });

  test('that is not there is missed, with the place where it should be', () => {
    const path = join(temporaryFolder(), 'passphrase');
    expect(codeOf(() => readPassphrase({ kind: 'file', path }))).toBe('passphrase-missing');
    expect(() => readPassphrase({ kind: 'file', path })).toThrow(path);
  });

  test('that others may read is refused', () => {
    const path = join(temporaryFolder(), 'passphrase');
    generatePassphraseFile(path);
    chmodSync(path, 0o640);
    expect(codeOf(() => readPassphrase({ kind: 'file', path }))).toBe('key-file-permissions');
  });

  test('too short is not told in the error', () => {
    expect(() =>
      readPassphrase({ kind: 'given', passphrase: 'hunter2', from: 'BIRTHMARK_PASSPHRASE' }),
    ).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
  });
});
