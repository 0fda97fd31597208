import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { toPem } from '../../../src/x509/pem.ts';
import { newCsr } from '../../house.ts';
import { LIMITS } from '../test-server.ts';
import { certificateIn, certificatesIn, shareEstServer, toBase64, verdictOf } from './est-server.ts';

const est = await shareEstServer({ labels: { gold: {} } });
const lenient = await shareEstServer({ est: { acceptPem: true, wrapBase64: true } });
const PKCS10 = 'application/pkcs10';
let devices = 0;

/** Sends a body with a ticket of a new device. */
async function send(body: string | Uint8Array, type: string | undefined = PKCS10, at = est) {
  devices += 1;
  const headers = { ...(await at.ticket(`SN-${devices}`)), ...(type !== '' && { 'content-type': type }) };
  const { ask, socket } = await at.open();
  const answer = await ask('simpleenroll', { method: 'POST', body, headers });
  socket.destroy();
  return answer;
}

describe('a body', () => {
  const base64 = () => toBase64(newCsr());
  const lines = (text: string, end: string) => text.replace(/.{64}/g, `$&${end}`);

  test.each<[string, () => string]>([
    ['in one line', base64],
    ['in lines of LF', () => lines(base64(), '\n')],
    ['in lines of CRLF, with spaces and tabs', () => `\t${lines(base64(), ' \r\n')}\r\n`],
  ])('%s is taken', async (_title, body) => {
    expect(verdictOf(await send(body()))).toBe('200');
  });

  test.each<[string, () => string | Uint8Array, string]>([
    ['with a letter that base64 has not', () => base64().replace(/^(.{10})./, '$1!'), '400 bad-base64'],
    ['in base64url', () => base64().replace(/^(.{10})./, '$1_'), '400 bad-base64'],
    ['without its padding', () => toBase64(Buffer.alloc(10, 0x30)).replace(/=+$/, ''), '400 bad-base64'],
    ['with a vertical tab', () => `\v${base64()}`, '400 bad-base64'],
    ['that is the DER', newCsr, '400 bad-base64'],
    ['that is PEM', () => toPem('CERTIFICATE REQUEST', newCsr()), '400 bad-base64'],
    ['that is empty', () => '', '400 bad-base64'],
    ['with an octet behind the CSR', () => toBase64(Buffer.concat([newCsr(), Buffer.of(0)])), '400 bad-der'],
    ['that is no CSR', () => toBase64(Buffer.of(0x30, 0)), '400 bad-der'],
  ])('%s is refused', async (_title, body, verdict) => {
    expect(verdictOf(await send(body()))).toBe(verdict);
  });

  test('in PEM is taken where the configuration says so, as is what EST has', async () => {
    const pem = toPem('CERTIFICATE REQUEST', newCsr());
    expect(verdictOf(await send(pem, PKCS10, lenient))).toBe('200');
    expect(verdictOf(await send(toPem('CERTIFICATE', newCsr()), PKCS10, lenient))).toBe('400 bad-pem');
    expect(verdictOf(await send(base64(), PKCS10, lenient))).toBe('200');
  });

  test.each(['binary', '8bit', 'quoted-printable', 'base64'])(
    'is base64 also where Content-Transfer-Encoding says %s',
    async (encoding) => {
      const headers = { ...(await est.ticket(`CTE-${encoding}`)), 'content-transfer-encoding': encoding };
      expect(verdictOf(await est.enroll('simpleenroll', newCsr(), { headers }))).toBe('200');
    },
  );

  test('whose CSR is not signed by its own key is refused', async () => {
    const csr = newCsr();
    csr.writeUInt8((csr.at(-1) ?? 0) ^ 1, csr.length - 1);
    expect(verdictOf(await send(toBase64(csr)))).toBe('400 proof-of-possession-failed');
    csr.writeUInt8((csr.at(-1) ?? 0) ^ 1, csr.length - 1);
    expect(verdictOf(await send(toBase64(csr)))).toBe('200');
  });

  test('as large as the listener takes is read, and one octet more is not', async () => {
    const body = base64();
    expect(verdictOf(await send(body.padEnd(LIMITS.bodyOctets)))).toBe('200');
    expect(verdictOf(await send(body.padEnd(LIMITS.bodyOctets + 1)))).toBe('413 body-too-large');
  });

  test('that does not come in time is refused', async () => {
    const { socket } = await est.open();
    const head = `POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: a\r\nContent-Type: ${PKCS10}\r\n`;
    socket.write(`${head}Content-Length: 400\r\n\r\nMII`);
    const [part] = await once(socket, 'data');
    expect(String(part)).toMatch(/^HTTP\/1\.1 408 .*content-type: text\/plain.*body-too-slow/is);
    socket.destroy();
  });

  test('that is compressed is refused', async () => {
    const headers = { ...(await est.ticket('SN-gzip')), 'content-encoding': 'gzip' };
    expect(verdictOf(await est.enroll('simpleenroll', newCsr(), { headers }))).toBe(
      '415 unsupported-media-type',
    );
  });
});

describe('a type', () => {
  test.each([PKCS10, 'Application/PKCS10', `${PKCS10}; charset=us-ascii`, `${PKCS10} ;a="b;c"`])(
    '%s is taken',
    async (type) => {
      expect(verdictOf(await send(toBase64(newCsr()), type))).toBe('200');
    },
  );
  test.each([
    '',
    'application/pkcs7-mime',
    'application/json',
    'text/plain',
    'application/pkcs10x',
    'pkcs10',
  ])('%j is refused', async (type) => {
    expect(verdictOf(await send(toBase64(newCsr()), type))).toBe('415 unsupported-media-type');
  });
});

describe('an address', () => {
  const ask = async (operation: string, method = 'GET') => {
    const { ask: send, socket } = await est.open();
    const answer = await send(operation, { method });
    socket.destroy();
    return answer;
  };

  test.each([
    ['cacerts', 'POST', 'GET, HEAD'],
    ['csrattrs', 'PUT', 'GET, HEAD'],
    ['gold/cacerts', 'DELETE', 'GET, HEAD'],
    ['simpleenroll', 'GET', 'POST'],
    ['simplereenroll', 'HEAD', 'POST'],
    ['gold/serverkeygen', 'PATCH', 'POST'],
  ])('%s refuses %s and says what it takes', async (operation, method, allow) => {
    const answer = await ask(operation, method);
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    if (method !== 'HEAD') expect(verdictOf(answer)).toBe('405 method-not-allowed');
  });

  test.each(['cacerts', 'csrattrs', 'gold/cacerts', 'gold/csrattrs', 'gold/cacerts?a=%2F', 'g%6fld/cacerts'])(
    '%s needs no credentials',
    async (operation) => {
      expect((await ask(operation)).status).toBe(200);
      expect((await ask(operation, 'HEAD')).status).toBe(200);
    },
  );

  test.each([
    'silver/cacerts',
    'cacerts/cacerts',
    'Gold/cacerts',
    'renew',
    'CACERTS',
    'fullcmc',
    'gold/fullcmc',
    '',
    'cacerts/',
    'a/b/cacerts',
    'gold%2Fcacerts',
    'gold%2fcacerts?a',
    `${'a'.repeat(65)}/cacerts`,
    `${'a'.repeat(101)}/cacerts`,
  ])('%j is not there', async (operation) => {
    for (const method of ['GET', 'POST'])
      expect(verdictOf(await ask(operation, method))).toBe('404 not-found');
  });
});

describe('an answer', () => {
  test('to cacerts has the root and what is between it and a device, and nothing else', async () => {
    const { ask } = await est.open();
    const answer = await ask('cacerts');
    const { authorities } = est.house;
    const wanted = ['root', 'ldevid'].map((name) => authorities.get(name)?.certificate.raw);
    expect(certificatesIn(answer).toSorted(Buffer.compare)).toEqual(
      wanted.map((der) => Buffer.from(der ?? [])).toSorted(Buffer.compare),
    );
    expect(answer.headers['content-transfer-encoding']).toBe('base64');
    expect(Number(answer.headers['content-length'])).toBe(answer.text.length);
  });

  test('to simpleenroll has the issued certificate only, in one line', async () => {
    const answer = await send(toBase64(newCsr()));
    const { ldevid } = Object.fromEntries(est.house.authorities);
    expect(certificateIn(answer)).not.toEqual(ldevid?.certificate.raw);
    expect(answer.text).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
  });

  test('has lines of 64 where the configuration says so', async () => {
    const answer = await send(toBase64(newCsr()), PKCS10, lenient);
    expect(certificateIn(answer).length).toBeGreaterThan(0);
    expect(answer.text).toMatch(/^(?:[A-Za-z0-9+/]{64}\n)+[A-Za-z0-9+/]{1,64}=*\n$/);
    expect(Number(answer.headers['content-length'])).toBe(answer.text.length);
  });
});
