import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { wantedKey } from '../../src/agent/est/wanted-key.ts';
import { step } from '../../src/agent/index.ts';
import { type CsrRequirements, encodeCsrAttributes } from '../../src/x509/csr-attributes.ts';
import { encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { oid } from '../../src/x509/der/values.ts';
import { codeOfAsync } from '../house.ts';
import { codeOf } from '../x509/code-of.ts';
import { shareAgentLab } from './lab.ts';

const reply = (der: Uint8Array) => ({
  ...{ status: 200, headers: {} },
  body: Buffer.from(Buffer.from(der).toString('base64')),
});
const asking = (key: CsrRequirements['key'], template?: CsrRequirements['template']) =>
  reply(encodeCsrAttributes({ ...(key && { key }), ...(template && { template }) }));

describe('the key that a server asks for', () => {
  test.each([
    ['ec-p256', { kind: 'ec', curve: 'P-256' }],
    ['ec-p384', { kind: 'ec', curve: 'P-384' }],
    ['ec-p521', { kind: 'ec', curve: 'P-521' }],
    ['ed25519', { kind: 'ed25519' }],
    ['rsa-2048', { kind: 'rsa', bits: 2048 }],
    ['rsa-3072', { kind: 'rsa', bits: 3072 }],
    ['rsa-4096', { kind: 'rsa', bits: 4096 }],
  ] as const)('is %s, in a list and in a template', (type, key) => {
    expect(wantedKey(asking(key))).toBe(type);
    expect(wantedKey(asking(key, {}))).toBe(type);
  });

  test('is any where it asks for none, or has no such answer', () => {
    expect(wantedKey(asking(undefined))).toBeUndefined();
    expect(wantedKey({ status: 404, headers: {}, body: Buffer.alloc(0) })).toBeUndefined();
  });

  test('is refused where it is none that is made here: no other one is made in its place', () => {
    const brainpool = sequence(oid('1.2.840.10045.2.1'), setOf(oid('1.3.36.3.3.2.8.1.1.7')));
    expect(codeOf(() => wantedKey(reply(encode(sequence(brainpool)))))).toBe('key-algorithm-not-allowed');
    for (const template of [undefined, {}])
      expect(codeOf(() => wantedKey(asking({ kind: 'rsa', bits: 1024 }, template)))).toBe(
        'key-algorithm-not-allowed',
      );
  });
});

describe('a device whose authority takes RSA only', async () => {
  const lab = await shareAgentLab({}, { allowedKeys: ['rsa'] });
  const keyIn = (folder: string) =>
    createPrivateKey(readFileSync(join(folder, 'current/key.pem'))).asymmetricKeyType;

  test('makes such a key without being told, at each renewal too, also where it cannot ask', async () => {
    const device = await lab.device({ settings: await lab.ticket('WK-1') });
    await step(device.parts);
    expect(keyIn(device.folder)).toBe('rsa');
    expect((await step(device.parts, { now: true })).outcome).toBe('renewed');
    expect(keyIn(device.folder)).toBe('rsa');
    const { authority } = device.parts;
    const deaf = {
      ...device.parts,
      authority: { ...authority, wantedKey: () => Promise.resolve(undefined) },
    };
    expect((await step(deaf, { now: true })).outcome).toBe('renewed');
    expect(keyIn(device.folder)).toBe('rsa');
  });

  test('is refused with the key that its settings say', async () => {
    const settings = { ...(await lab.ticket('WK-2')), keyType: 'ec-p256' } as const;
    const device = await lab.device({ settings });
    expect(await codeOfAsync(step(device.parts))).toBe('renewal-refused');
  });
});
