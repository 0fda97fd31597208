// What other people's OCSP clients hear from us, of two workers.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse({ serve: ['--workers', '2'] });
const openssl = (...words: readonly string[]) => house().program('openssl', ...words);
/** Every answer of ours tells a revocation within this time. */
const TOLD_WITHIN_MS = 1000;
const serials = new Map<string, string>();
const NAMES = ['fine', 'stolen', 'lost'] as const;
const VERDICTS = { fine: 'good', stolen: 'revoked', lost: 'revoked' } as const;
const url = () => `${house().publicUrl}/ocsp`;
const serialOf = (name: string) => serials.get(name) ?? '';
const issuer = () => ['-issuer', house().pem('ldevid'), '-CAfile', house().pem('root')];
/** The short chain: the answer's signer was certified by the issuing authority, not by the root. */
const trusted = () => [...issuer(), '-verify_other', house().pem('ldevid')];
const ask = (...words: readonly string[]) => openssl('ocsp', ...trusted(), '-url', url(), ...words);

beforeAll(async () => {
  for (const name of NAMES) {
    house().write(`${name}.csr`, await opensslCsr(house().folder, name, 'P-256', name));
    const words = ['--profile', 'ldevid', '--serial-number', name, '--csr', `${name}.csr`];
    await house().must('issue', ...words, '--out', `${name}.pem`);
    const text = await openssl('x509', '-in', `${name}.pem`, '-noout', '-serial');
    serials.set(name, text.trim().replace(/^serial=/, ''));
    // Kept by both workers as good, so that a revocation has something to undo.
    for (let at = 0; at < 4; at += 1)
      expect(await ask('-cert', `${name}.pem`, '-no_nonce')).toContain('good');
  }
  await house().must('revoke', '--serial', serialOf('stolen'), '--reason', 'keyCompromise');
  await house().must('hold', '--serial', serialOf('lost'));
  await sleep(TOLD_WITHIN_MS);
});

describe.each([
  ['with a nonce', []],
  ['without one', ['-no_nonce']],
  ['by SHA-256', ['-sha256']],
] as const)('openssl ocsp %s', (_how, words) => {
  test.each(NAMES)('hears of %s from every worker', async (name) => {
    for (let at = 0; at < 4; at += 1)
      expect(await ask(...words, '-cert', `${name}.pem`)).toContain(`${name}.pem: ${VERDICTS[name]}`);
  });
});

test('openssl ocsp hears of several at once, with reasons, and never good of what was not issued', async () => {
  const said = await ask(...NAMES.flatMap((name) => ['-cert', `${name}.pem`]), '-serial', '0x1234');
  expect(said).toMatch(/fine\.pem: good\n/);
  expect(said).toMatch(/stolen\.pem: revoked\n(?:\t.*\n)*\tReason: keyCompromise\n/);
  expect(said).toMatch(/lost\.pem: revoked\n(?:\t.*\n)*\tReason: certificateHold\n/);
  expect(said).toMatch(/0x1234: revoked\n(?:\t.*\n)*\tRevocation Time: Jan {2}1 00:00:00 1970 GMT\n/);
});

test('openssl ocsp does not verify it for another authority', async () => {
  const words = ['-issuer', house().pem('idevid'), '-CAfile', house().pem('root'), '-url', url()];
  const done = await runProgram('openssl', ['ocsp', ...words, '-serial', `0x${serialOf('fine')}`]);
  expect(done.out + done.err).not.toContain(': good');
});

test.each(NAMES)('GnuTLS hears of %s', async (name) => {
  const words = [
    `--ask=${url()}`,
    '--load-issuer',
    house().pem('ldevid'),
    '--load-trust',
    house().pem('ldevid'),
  ];
  const pem = path.join(house().folder, `${name}.pem`);
  const { out } = await runProgram('ocsptool', [...words, '--load-cert', pem, '--nonce']);
  expect(out).toContain('Verifying OCSP Response: Success.');
  expect(out).toContain(`Certificate Status: ${VERDICTS[name]}`);
});

test('curl gets what openssl verifies, however the path is spelled', async () => {
  await openssl(
    'ocsp',
    '-issuer',
    house().pem('ldevid'),
    '-cert',
    'fine.pem',
    '-no_nonce',
    '-reqout',
    'q.der',
  );
  const text = readFileSync(path.join(house().folder, 'q.der')).toString('base64');
  const spellings = [text, encodeURIComponent(text), `/${text}`, text.replaceAll('/', '%2F')];
  for (const spelling of spellings) {
    const { status } = await house().curl(`${url()}/${spelling}`, '--path-as-is', '-o', 'r.der');
    expect(status).toBe(200);
    const words = ['-respin', 'r.der', '-cert', 'fine.pem', '-no_nonce'];
    expect(await openssl('ocsp', ...trusted(), ...words)).toContain('fine.pem: good');
  }
});

test('our own command says the same', async () => {
  const words = (name: string) => [
    '--issuer',
    house().pem('ldevid'),
    '--serial',
    serialOf(name),
    '--url',
    url(),
  ];
  const good = await house().must('ocsp', 'query', ...words('fine'));
  expect(good).toMatch(/^status +good$/m);
  const json = JSON.parse(await house().must('ocsp', 'query', ...words('fine'), '--json'));
  expect(json).toMatchObject({ status: 'good' });
  const bad = await house().birthmark('ocsp', 'query', ...words('stolen'), '--no-nonce');
  expect(bad.status).toBe(1);
  expect(bad.out).toMatch(/^reason +keyCompromise$/m);
});
