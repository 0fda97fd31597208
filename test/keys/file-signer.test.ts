import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SIGNATURE_DIGESTS } from '../../src/core/signature-algorithm.ts';
import {
  createColdSigner,
  createFileSigner,
  createKeyFile,
  readKeyFile,
} from '../../src/keys/file-signer.ts';
import { generateKey, KEY_ALGORITHMS, signatureAlgorithmOf } from '../../src/keys/key-algorithm.ts';
import type { Signer } from '../../src/keys/signer.ts';
import { codeOfAsync } from '../house.ts';
import { codeOf } from '../x509/code-of.ts';
import { temporaryFolder } from './temporary-folder.ts';

const PASSPHRASE = 'sixteen letters!';
const TBS = Buffer.from('to be signed');

async function verifies({ algorithm, spki, sign }: Signer): Promise<boolean> {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return verify(SIGNATURE_DIGESTS[algorithm], TBS, key, await sign(TBS));
}

describe.each(KEY_ALGORITHMS)('a key file of %s', (algorithm) => {
  test('is encrypted, for its owner only, and signs after it was read back', async () => {
    const path = join(temporaryFolder(), 'ca.key');
    const key = createKeyFile(path, algorithm, PASSPHRASE);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    const signer = createFileSigner(readKeyFile(path, PASSPHRASE));
    expect(signer.spki).toEqual(createPublicKey(key).export({ type: 'spki', format: 'der' }));
    expect(await verifies(signer)).toBe(true);
    expect(await verifies(createColdSigner(signer.spki, () => readKeyFile(path, PASSPHRASE)))).toBe(true);
  });

  test('opens in OpenSSL, with its passphrase only', () => {
    const path = join(temporaryFolder(), 'ca.key');
    createKeyFile(path, algorithm, PASSPHRASE);
    const open = (passphrase: string) =>
      execFileSync('openssl', ['pkey', '-in', path, '-passin', `pass:${passphrase}`, '-noout'], {
        stdio: 'pipe',
      });
    open(PASSPHRASE);
    expect(() => open('seventeen letters')).toThrow();
  });
});

test('an existing file is not overwritten', () => {
  const path = join(temporaryFolder(), 'ca.key');
  createKeyFile(path, 'ec-p256', PASSPHRASE);
  const before = readFileSync(path);
  expect(codeOf(() => createKeyFile(path, 'ec-p256', PASSPHRASE))).toBe('already-exists');
  expect(readFileSync(path)).toEqual(before);
});

describe('a key file is refused', () => {
  test.each([
    ['that others may read', 0o644, 'key-file-permissions'],
    ['that its group may read', 0o640, 'key-file-permissions'],
    ['that others may write', 0o602, 'key-file-permissions'],
    ['and taken where only its owner may read it', 0o400, 'accepted'],
  ])('%s', (_title, mode, code) => {
    const path = join(temporaryFolder(), 'ca.key');
    createKeyFile(path, 'ec-p256', PASSPHRASE);
    chmodSync(path, mode);
    expect(codeOf(() => readKeyFile(path, PASSPHRASE))).toBe(code);
    if (code !== 'accepted') expect(() => readKeyFile(path, PASSPHRASE)).toThrow(`0${mode.toString(8)}`);
  });

  test.each([
    ['with a wrong passphrase', (pem: string) => pem, 'another passphrase', 'passphrase-wrong'],
    [
      'that is damaged',
      (pem: string) => pem.replace(/\n[^\n]{64}\n([^\n]*)\n-----END/, `\n${'A'.repeat(64)}\n$1\n-----END`),
      PASSPHRASE,
      'passphrase-wrong',
    ],
    ['that is empty', () => '', PASSPHRASE, 'key-file-unreadable'],
    ['that is no PEM', () => 'key', PASSPHRASE, 'key-file-unreadable'],
    [
      'that is not encrypted',
      () => String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
      PASSPHRASE,
      'key-file-unreadable',
    ],
  ])('%s', (_title, change, passphrase, code) => {
    const path = join(temporaryFolder(), 'ca.key');
    createKeyFile(path, 'ec-p256', PASSPHRASE);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    expect(codeOf(() => readKeyFile(path, passphrase))).toBe(code);
  });

  test('that is not there, or a folder', () => {
    const folder = temporaryFolder();
    expect(codeOf(() => readKeyFile(join(folder, 'ca.key'), PASSPHRASE))).toBe('key-file-unreadable');
    expect(codeOf(() => readKeyFile(folder, PASSPHRASE))).toBe('key-file-unreadable');
  });

  test('without the passphrase in the error', () => {
    const path = join(temporaryFolder(), 'ca.key');
    createKeyFile(path, 'ec-p256', PASSPHRASE);
    let text = '';
    try {
      readKeyFile(path, 'a secret that is wrong');
    } catch (error) {
      text = `${error} ${error instanceof Error ? error.cause : ''}`;
    }
    expect(text).toContain(path);
    expect(text).not.toContain('a secret that is wrong');
  });
});

describe('a key that no authority may have', () => {
  test.each([
    ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['Ed448', () => generateKeyPairSync('ed448')],
  ] as const)('%s', (_title, generate) => {
    const { privateKey, publicKey } = generate();
    expect(signatureAlgorithmOf(privateKey)).toBeUndefined();
    expect(codeOf(() => createFileSigner(privateKey))).toBe('key-algorithm-not-allowed');
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    expect(codeOf(() => createColdSigner(spki, () => privateKey))).toBe('key-algorithm-not-allowed');
  });
});

test('a key whose halves are no pair is refused: its file was changed where nothing notices', () => {
  const [key, other] = [generateKey('ec-p256'), generateKey('ec-p256')].map((one) =>
    one.export({ format: 'jwk' }),
  );
  const mixed = createPrivateKey({ key: { ...key, d: other?.d ?? '' }, format: 'jwk' });
  expect(codeOf(() => createFileSigner(mixed))).toBe('key-file-unreadable');
  expect(codeOf(() => createFileSigner(createPrivateKey({ key: { ...key }, format: 'jwk' })))).toBe(
    'accepted',
  );
});

describe('a key that is read for each signature', () => {
  test('is not read before there is something to sign, and again for the next one', async () => {
    const key = generateKey('ec-p256');
    let reads = 0;
    const signer = createColdSigner(createFileSigner(key).spki, () => {
      reads += 1;
      return key;
    });
    expect(reads).toBe(0);
    await signer.sign(TBS);
    await signer.sign(TBS);
    expect(reads).toBe(2);
  });

  test("and is another one's by then signs nothing", async () => {
    const [key, other] = [generateKey('ec-p256'), generateKey('ec-p256')];
    const signer = createColdSigner(createFileSigner(key).spki, () => other);
    expect(await codeOfAsync((async () => signer.sign(TBS))())).toBe('key-file-unreadable');
  });
});
