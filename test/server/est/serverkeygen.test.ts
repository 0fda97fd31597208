import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { octetString, printableString } from '../../../src/x509/der/values.ts';
import { attribute, newCsr, newKey } from '../../house.ts';
import { certificatesOf, type EstAnswer, shareEstServer, verdictOf } from './est-server.ts';

const est = await shareEstServer({
  labels: { keys: { serverKeygen: true }, born: { profile: 'idevid', admit: ['ticket'] } },
});
const wrapped = await shareEstServer({
  est: { wrapBase64: true },
  labels: { default: { serverKeygen: true } },
});
const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-keygen-'));
afterAll(() => rmSync(folder, { recursive: true }));
let devices = 0;

async function ask(label: string, csr = newCsr(), at = est): Promise<EstAnswer> {
  devices += 1;
  return at.enroll(`${label}serverkeygen`, csr, { headers: await at.ticket(`SN-${devices}`) });
}

/** The parts of an answer as Python's email package reads them. */
function partsOf({
  headers,
  text,
}: EstAnswer): readonly { readonly type: string; readonly content: Buffer }[] {
  const message = path.join(folder, 'message');
  writeFileSync(
    message,
    `Content-Type: ${headers['content-type']}\r\nMIME-Version: 1.0\r\n\r\n${text}`,
    'latin1',
  );
  const program = [
    'import email, email.policy, json, sys',
    'm = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)',
    'assert m.is_multipart() and not m.defects',
    'assert not any(p.defects for p in m.iter_parts())',
    'print(json.dumps([[p["content-type"], p.get_payload(decode=True).hex()] for p in m.iter_parts()]))',
  ].join('\n');
  const read: [string, string][] = JSON.parse(
    execFileSync('python3', ['-c', program, message], { encoding: 'utf8' }),
  );
  return read.map(([type, hex]) => ({ type, content: Buffer.from(hex, 'hex') }));
}

describe('a key that the server makes', () => {
  test('is not to be had unless the label says so', async () => {
    expect(verdictOf(await ask(''))).toBe('403 forbidden');
    expect((await ask('keys/')).status).toBe(200);
  });

  test('is never one of an IDevID', async () => {
    const headers = await est.ticket('SN-born', { profile: 'idevid' });
    expect(verdictOf(await est.enroll('born/serverkeygen', newCsr(), { headers }))).toBe('403 forbidden');
    expect(verdictOf(await est.enroll('keys/serverkeygen', newCsr(), { headers }))).toBe(
      '403 profile-not-allowed',
    );
    expect(verdictOf(await est.enroll('born/simpleenroll', newCsr(), { headers }))).toBe('200');
  });

  test.each([
    ['in one line', est, 'keys/'],
    ['in lines of 64', wrapped, ''],
  ])('comes %s with its certificate, as other programs read it', async (_title, at, label) => {
    const key = newKey();
    const answer = await ask(label, newCsr(key), at);
    expect(answer.headers['cache-control']).toBe('no-store');
    const [made, certs, ...more] = partsOf(answer);
    expect([made?.type, certs?.type, more.length]).toEqual([
      'application/pkcs8',
      'application/pkcs7-mime; smime-type="certs-only"',
      0,
    ]);
    const file = path.join(folder, 'key.der');
    writeFileSync(file, made?.content ?? '');
    execFileSync('openssl', ['pkey', '-inform', 'DER', '-in', file, '-check', '-noout'], { stdio: 'ignore' });
    const [certificate, ...others] = certificatesOf((certs?.content ?? Buffer.of()).toString('base64'));
    expect(others).toEqual([]);
    const { spki } = parseCertificate(certificate ?? Buffer.of()).tbs;
    const privateKey = createPrivateKey({ key: readFileSync(file), format: 'der', type: 'pkcs8' });
    expect(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(spki));
    expect(Buffer.from(spki)).not.toEqual(key.spki);
    expect(answer.text.split('\r\n').every((line) => line.length <= (at === est ? 4096 : 76))).toBe(true);
  });

  test.each([
    ['a DecryptKeyIdentifier', '1.2.840.113549.1.9.16.2.37', '400 bad-csr'],
    ['an AsymmetricDecryptKeyIdentifier', '1.2.840.113549.1.9.16.2.54', '400 bad-csr'],
    ['another attribute', '1.2.840.113549.1.9.16.2.99', '200'],
  ])('for a CSR with %s: %3$s', async (_title, type, verdict) => {
    const csr = newCsr(newKey(), { attributes: [attribute(type, octetString(Buffer.of(1)))] });
    expect(verdictOf(await ask('keys/', csr))).toBe(verdict);
  });

  test("is made whatever the CSR's signature says, and not for another device or connection", async () => {
    const csr = newCsr();
    csr.writeUInt8((csr.at(-1) ?? 0) ^ 1, csr.length - 1);
    expect((await ask('keys/', csr)).status).toBe(200);
    const other = newCsr(newKey(), { subject: [{ type: 'serialNumber', value: 'SN-X' }] });
    expect(verdictOf(await ask('keys/', other))).toBe('403 serial-number-mismatch');
    const bound = newCsr(newKey(), {
      attributes: [attribute('1.2.840.113549.1.9.7', printableString(Buffer.alloc(32).toString('base64')))],
    });
    expect(verdictOf(await ask('keys/', bound))).toBe('403 channel-binding');
  });

  test('is not made for nobody', async () => {
    expect(verdictOf(await est.enroll('keys/serverkeygen', newCsr()))).toBe('401 certificate-required');
    const credential = await est.credential('SN-keys');
    expect((await est.enroll('keys/serverkeygen', newCsr(), { credential })).status).toBe(200);
    const { outcome, facts } = await est.latestAct('own/SN-keys');
    expect([outcome, facts.operation]).toEqual(['done', 'serverkeygen']);
  });

  test('is written down nowhere', async () => {
    const [made] = partsOf(await ask('keys/'));
    const secret = made?.content.subarray(36, 68) ?? Buffer.of();
    const { items } = await est.house.ledger.read.listAudit({ limit: 1000 });
    for (const text of [JSON.stringify(items), est.server.log.join('\n')])
      for (const form of ['hex', 'base64'] as const) expect(text).not.toContain(secret.toString(form));
  });
});
