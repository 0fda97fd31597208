import { spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { certificatesAnswer, csrAttributesAnswer, keyAnswer } from '../../../src/enroll/est/codec.ts';
import { pendingAnswer, refuse } from '../../../src/enroll/est/refusal.ts';
import { toProblem } from '../../../src/server/problem.ts';
import { encodeCertsOnly } from '../../../src/x509/certs-only.ts';
import { sampleCertificate, sampleKey } from '../../x509/samples.ts';

const key = sampleKey('P-256');
const certificate = sampleCertificate('ldevid', key, key);
const pkcs8 = key.privateKey.export({ format: 'der', type: 'pkcs8' });
const flat = { wrap: false };
const wrapped = { wrap: true };

describe('certificates', () => {
  const answer = certificatesAnswer([certificate], flat);

  test('go out as certs-only in base64, on one line', () => {
    expect(answer.status).toBe(200);
    expect(answer.headers).toEqual({
      'content-type': 'application/pkcs7-mime; smime-type=certs-only',
      'content-transfer-encoding': 'base64',
    });
    expect(answer.body).toBe(`${encodeCertsOnly([certificate]).toString('base64')}\n`);
  });

  test('go out in lines of 64 where that is configured, which openssl reads', () => {
    const { body } = certificatesAnswer([certificate], wrapped);
    const lines = body.split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.slice(0, -1).every((line) => line.length === 64)).toBe(true);
    expect(lines.join('')).toBe(answer.body.trimEnd());
    const { stdout } = spawnSync('openssl', ['base64', '-d'], { input: body });
    expect(stdout).toEqual(encodeCertsOnly([certificate]));
  });
});

test('CSR attributes go out as such, an empty list too', () => {
  expect(csrAttributesAnswer(Buffer.of(0x30, 0), flat)).toEqual({
    status: 200,
    headers: { 'content-type': 'application/csrattrs', 'content-transfer-encoding': 'base64' },
    body: 'MAA=\n',
  });
});

describe('a key with its certificate', () => {
  test.each([flat, wrapped])('is two parts between CRLF and boundaries: %o', (form) => {
    const { headers, body } = keyAnswer(pkcs8, certificate, form);
    const boundary = /^multipart\/mixed; boundary=(\S+)$/.exec(headers['content-type'] ?? '')?.[1] ?? '';
    expect(body).not.toMatch(/(?<!\r)\n/);
    const parts = body.split(`--${boundary}`);
    expect(parts).toHaveLength(4);
    expect(parts[0]).toBe('');
    expect(parts[3]).toBe('--\r\n');
    const [keyPart = '', certificatePart = ''] = parts.slice(1, 3);
    expect(keyPart.startsWith('\r\nContent-Type: application/pkcs8\r\n')).toBe(true);
    expect(certificatePart).toContain('\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n');
    const [keyOctets, certificateOctets] = [keyPart, certificatePart].map((part) =>
      Buffer.from(part.split('\r\n\r\n')[1] ?? '', 'base64'),
    );
    expect(
      createPrivateKey({ key: keyOctets ?? '', format: 'der', type: 'pkcs8' }).equals(key.privateKey),
    ).toBe(true);
    expect(certificateOctets).toEqual(encodeCertsOnly([certificate]));
  });

  test('is kept by nobody on its way', () => {
    expect(keyAnswer(pkcs8, certificate, flat).headers['cache-control']).toBe('no-store');
  });

  test("is what Python's reader of MIME reads too", () => {
    const { headers, body } = keyAnswer(pkcs8, certificate, wrapped);
    const script =
      'import email, sys\n' +
      'message = email.message_from_bytes(sys.stdin.buffer.read())\n' +
      'print([(part.get_content_type(), part.get_payload(decode=True).hex()) for part in message.get_payload()], len(message.defects))';
    const { stdout } = spawnSync('python3', ['-c', script], {
      input: `Content-Type: ${headers['content-type']}\r\n\r\n${body}`,
    });
    const expected = [
      `('application/pkcs8', '${pkcs8.toString('hex')}')`,
      `('application/pkcs7-mime', '${encodeCertsOnly([certificate]).toString('hex')}')`,
    ];
    expect(stdout.toString().trim()).toBe(`[${expected.join(', ')}] 0`);
  });
});

describe('a refusal', () => {
  const options = { realm: 'fleet', retryAfterSeconds: 7 };
  const refusalOf = (error: unknown, more = {}) => refuse(toProblem(error), { ...options, ...more });
  const error = (code: BirthmarkError['code']) => new BirthmarkError(code, 'why, and what to do');

  test('is text with the code and what to do', () => {
    expect(refusalOf(error('proof-of-possession-failed'))).toEqual({
      status: 400,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: 'proof-of-possession-failed: why, and what to do\n',
    });
  });

  test.each([
    ['bad-base64', 400],
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['device-unknown', 403],
    ['not-found', 404],
    ['profile-unknown', 404],
    ['key-in-use', 409],
    ['body-too-large', 413],
    ['unsupported-media-type', 415],
    ['too-many-requests', 429],
    ['unavailable', 503],
  ] as const)('for %s is %i', (code, status) => {
    expect(refusalOf(error(code)).status).toBe(status);
  });

  test('of who did not sign in asks for Basic in its realm, and is 403 where Basic is not offered', () => {
    const asked = refusalOf(error('unauthenticated'), { realm: 'a "b" \\ c\r\nX: y' });
    expect(asked.headers['www-authenticate']).toBe('Basic realm="a \\"b\\" \\\\ cX: y", charset="UTF-8"');
    const silent = refuse(toProblem(error('unauthenticated')), { retryAfterSeconds: 1 });
    expect(silent.status).toBe(403);
    expect(silent.headers).not.toHaveProperty('www-authenticate');
  });

  test('that will pass says when, and one that will not says nothing of that', () => {
    expect(refusalOf(error('unavailable')).headers['retry-after']).toBe('7');
    expect(refusalOf(error('too-many-requests'), { retryAfterSeconds: 0.2 }).headers['retry-after']).toBe(
      '1',
    );
    expect(refusalOf(error('forbidden')).headers).not.toHaveProperty('retry-after');
  });

  test('of a method tells the others', () => {
    const { status, headers } = refusalOf(error('method-not-allowed'), { allow: ['GET', 'HEAD'] });
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  test('tells nothing of a fault of ours', () => {
    const { status, body } = refusalOf(new Error('secret'));
    expect(status).toBe(500);
    expect(body).toBe('internal: the fault is on this side; it is in the log\n');
  });
});

test('a request that is not decided is 202, in whole seconds', () => {
  expect(pendingAnswer(29.1)).toMatchObject({ status: 202, headers: { 'retry-after': '30' } });
});
