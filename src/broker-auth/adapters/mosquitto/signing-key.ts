import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { BirthmarkError } from '../../../core/errors.ts';
import { replaceFile } from '../../replace-file.ts';

const OTHERS = 0o077;

/**
 * The key that signs snapshots: read, or made at the first start (Ed25519, mode 0600). The public half, which the plugin
 * reads, is written beside it as `PATH.pub`.
 *
 * @throws BirthmarkError `key-file-unreadable`, `key-file-permissions`, `home-unreadable`
 */
export async function openSigningKey(path: string): Promise<KeyObject> {
  const key = (await readKey(path)) ?? (await makeKey(path));
  const text = createPublicKey(key).export({ format: 'pem', type: 'spki' });
  await replaceFile(`${path}.pub`, Buffer.from(text), 0o644);
  return key;
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & OTHERS) !== 0)
      throw new BirthmarkError(
        'key-file-permissions',
        `${path} may be read by others: whoever has it decides who connects; chmod 600 it, or remove it for a new one`,
      );
    const key = createPrivateKey(await readFile(path));
    if (key.asymmetricKeyType === 'ed25519') return key;
    throw new BirthmarkError(
      'key-file-unreadable',
      `${path} holds another key than Ed25519; remove it for a new one`,
    );
  } catch (cause) {
    if (cause instanceof BirthmarkError) throw cause;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new BirthmarkError('key-file-unreadable', `${path} holds no private key that can be read`, {
      cause,
    });
  }
}

async function makeKey(path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ed25519');
  await replaceFile(path, Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })), 0o600);
  return privateKey;
}
