import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readAsText, readBlocks, readInput } from '../../src/cli/input-file.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { toPem } from '../../src/x509/pem.ts';

const folder = mkdtempSync(join(tmpdir(), 'birthmark-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Buffer) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const DER = Buffer.of(0x30, 3, 2, 1, 5);
const pem = file('a.pem', toPem('CERTIFICATE', DER));
const der = file('a.der', DER);
const ERRORS = { code: 'bad-csr', option: '--csr' } as const;

function refusal(act: () => unknown): BirthmarkError {
  try {
    act();
  } catch (error) {
    if (error instanceof BirthmarkError) return error;
  }
  throw new Error('nothing was refused');
}

test('takes PEM and DER', () => {
  expect(readBlocks(pem, 'CERTIFICATE', ERRORS)).toEqual([DER]);
  expect(readBlocks(der, 'CERTIFICATE', ERRORS)).toEqual([DER]);
  expect(readAsText(pem, () => 'encoded', ERRORS)).toBe(toPem('CERTIFICATE', DER));
  expect(readAsText(der, (octets) => octets.toString('hex'), ERRORS)).toBe('3003020105');
});

test.each([
  ['that is not there', join(folder, 'none'), 'it is not there'],
  ['that is a folder', folder, 'it is a folder'],
])('of a file %s says so, by the option and code of its command', (_title, path, reason) => {
  const error = refusal(() => readInput(path, ERRORS));
  expect(error).toMatchObject({ code: 'bad-csr', field: 'csr' });
  expect(error.message).toBe(`--csr ${path} cannot be read: ${reason}`);
  expect(refusal(() => readInput(path, { code: 'bad-request' })).message).toBe(
    `${path} cannot be read: ${reason}`,
  );
});

test('refuses PEM of another kind', () => {
  expect(refusal(() => readBlocks(pem, 'X509 CRL', ERRORS)).code).toBe('bad-pem');
});
