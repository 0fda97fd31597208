import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { createCsr } from '../../src/x509/create-csr.ts';
import { parseCsr, verifyPossession } from '../../src/x509/csr.ts';
import { parseName } from '../../src/x509/name.ts';

test('makes a request that proves possession, without names and attributes', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = parseCsr(createCsr(privateKey));
  expect(() => verifyPossession(csr)).not.toThrow();
  expect(Buffer.from(csr.spki)).toEqual(publicKey.export({ format: 'der', type: 'spki' }));
  expect([parseName(csr.subject), csr.requestedExtensions, csr.otherAttributes]).toEqual([[], [], []]);
});
