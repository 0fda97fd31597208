import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { LightMyRequestResponse } from 'fastify';
import pino from 'pino';
import { afterAll, describe, expect, test } from 'vitest';
import { createMetrics } from '../../src/server/metrics.ts';
import { createPublicApp } from '../../src/server/public-app.ts';
import { readOcspResponse } from '../../src/x509/ocsp-response-reader.ts';
import { openResponding, question } from '../ca/ocsp/responding.ts';
import { openTestHouse } from '../house.ts';
import { LIMITS } from './test-server.ts';

const TYPE = 'application/ocsp-request';
const house = await openTestHouse();
const responding = await openResponding(house);
const options = {
  logger: pino({ level: 'silent' }),
  limits: LIMITS,
  authorities: house.authorities,
  crls: house.ledger.read,
  renewal: house.renewal,
  ocsp: responding.respond,
  clock: house.clock.now,
};
const app = createPublicApp(options);
const listening: Promise<string> = app.listen({ port: 0, host: '127.0.0.1' });
const url = await listening;
afterAll(async () => {
  await app.close();
  responding[Symbol.dispose]();
  house[Symbol.dispose]();
});
const { serial } = await house.grant('SN-1');
const first = question(house, serial);
/** Its base64 has what paths trip over. A nonce of this length is not given back, so the kept answer is the answer. */
function requestWith(text: string): Buffer {
  for (;;) {
    const request = question(house, serial, { nonce: randomBytes(64) });
    if (request.toString('base64').includes(text)) return request;
  }
}
const asked = ['//', '+', '/'].map(requestWith);
house.clock.pass(120_000);

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${url}/ocsp/${path}`, { headers, method });
const post = (body: Buffer, headers: Record<string, string> = { 'content-type': TYPE }, path = '/ocsp') =>
  fetch(url + path, { method: 'POST', body: Uint8Array.from(body), headers });
const octets = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
const FAILURES = { malformed: '30030a0101', unauthorized: '30030a0106' };

test('POST and every spelling of GET give the same answer', async () => {
  for (const request of asked) {
    const text = request.toString('base64');
    const whole = await octets(await post(request));
    expect(readOcspResponse(whole).responses).toHaveLength(1);
    const spellings = [
      text,
      encodeURIComponent(text),
      text.replaceAll('/', '%2f'),
      text.replaceAll('+', '%2B'),
      `/${text}`,
    ];
    for (const spelling of spellings) expect(await octets(await get(spelling))).toEqual(whole);
  }
});

test.each([
  ['base64url', first.toString('base64url')],
  ['no padding', first.toString('base64').replace(/=+$/, '').slice(0, -1)],
  ['encoded twice', encodeURIComponent(encodeURIComponent(first.toString('base64')))],
  ['spaces', 'MA AA'],
  ['a broken escape', '%zz'],
  ['nothing', ''],
  ['a query', `${first.toString('base64')}?a=b`],
])('GET with %s is malformed, in the words of the protocol, and nobody keeps that', async (_what, path) => {
  const answer = await get(path);
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
  expect(answer.headers.get('etag')).toBeNull();
  expect((await octets(answer)).toString('hex')).toBe(FAILURES.malformed);
});

test('an unknown issuer is unauthorized, and nobody keeps that', async () => {
  const foreign = Buffer.from(first);
  foreign[30] = (foreign[30] ?? 0) ^ 1;
  const answer = await post(foreign);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect((await octets(answer)).toString('hex')).toBe(FAILURES.unauthorized);
});

describe('caching', () => {
  const path = first.toString('base64');

  test('an answer says how long it may be kept, by GET, HEAD and POST', async () => {
    for (const answer of [await get(path), await get(path, {}, 'HEAD'), await post(first)]) {
      expect(answer.headers.get('content-type')).toBe('application/ocsp-response');
      expect(answer.headers.get('cache-control')).toBe('max-age=300, public, no-transform, must-revalidate');
      expect(answer.headers.get('etag')).toMatch(/^"[0-9a-f]{64}"$/);
      expect(Date.parse(answer.headers.get('expires') ?? '')).toBeGreaterThan(house.clock.now() + 300_000);
      expect(Date.parse(answer.headers.get('last-modified') ?? '')).toBeLessThanOrEqual(house.clock.now());
      await answer.arrayBuffer();
    }
  });

  test('who has it already is told so, and who has another one gets it', async () => {
    const { headers } = await get(path);
    const etag = headers.get('etag') ?? '';
    expect((await get(path, { 'if-none-match': etag })).status).toBe(304);
    expect((await get(path, { 'if-none-match': '"another"' })).status).toBe(200);
    expect((await post(first, { 'content-type': TYPE, 'if-none-match': etag })).status).toBe(200);
  });

  test('an answer to a nonce is kept by nobody', async () => {
    const nonce = randomBytes(32);
    const answer = await post(question(house, serial, { nonce }));
    expect(answer.headers.get('cache-control')).toBe('max-age=0, no-transform, must-revalidate');
    expect([answer.headers.get('expires'), answer.headers.get('etag')]).toEqual([null, null]);
    expect(Buffer.from(readOcspResponse(await octets(answer)).nonce ?? [])).toEqual(nonce);
  });
});

test('other media types, methods and sizes are refused', async () => {
  expect((await post(first, { 'content-type': 'application/xml' })).status).toBe(415);
  expect((await fetch(`${url}/ocsp`, { method: 'PUT', body: 'a' })).status).toBe(405);
  expect((await post(Buffer.alloc(20_000, 0x30))).status).toBe(413);
  expect((await octets(await post(Buffer.alloc(0)))).toString('hex')).toBe(FAILURES.malformed);
  expect((await octets(await post(first, undefined, '/ocsp/'))).length).toBeGreaterThan(100);
});

test('a source that asks for too many signatures is told to try later, which nobody keeps; others are not', async () => {
  const payload = question(house, serial, { nonce: randomBytes(32) });
  const ask = (remoteAddress: string, body = payload) => {
    const headers = { 'content-type': TYPE };
    return app
      .inject({ method: 'POST', url: '/ocsp', headers, payload: body, remoteAddress })
      .then((answer) => [answer.statusCode, answer.rawPayload.length > 100, answer.headers['cache-control']]);
  };
  const share = 2 * LIMITS.ocspSignaturesPerSecond;
  for (let at = 0; at < share; at += 1) expect((await ask('192.0.2.9'))[1]).toBe(true);
  expect(await ask('192.0.2.9')).toEqual([200, false, 'no-store']);
  expect((await ask('192.0.2.9', first))[1]).toBe(true);
  expect((await ask('192.0.2.10'))[1]).toBe(true);
});

test('a source that goes through all serial numbers gets ten times as many, and what is kept for nothing', async () => {
  const limits = { ...LIMITS, ocspSignaturesPerSecond: 1 };
  const narrow = createPublicApp({ ...options, limits, ocsp: responding.another() });
  const devices = Array.from({ length: 22 }, (_, at) => house.grant(`SN-all-${at}`));
  const serials = (await Promise.all(devices)).map((one) => one.serial);
  house.clock.pass(120_000);
  const ask = async (remoteAddress: string, one: Uint8Array) => {
    const headers = { 'content-type': TYPE };
    const asking = { method: 'POST', url: '/ocsp', headers, remoteAddress } as const;
    const answer: Promise<LightMyRequestResponse> = narrow.inject({
      ...asking,
      payload: question(house, one),
    });
    const { rawPayload } = await answer;
    return rawPayload.length > 100;
  };
  const answered: boolean[] = [];
  for (const one of serials) answered.push(await ask('192.0.2.20', one));
  expect(answered).toEqual([...Array.from({ length: 20 }, () => true), false, false]);
  const [kept = serial] = serials;
  const unsigned = serials.at(-1) ?? serial;
  expect([await ask('192.0.2.20', kept), await ask('192.0.2.20', unsigned)]).toEqual([true, false]);
  expect(await ask('192.0.2.21', unsigned)).toBe(true);
  expect(await ask('192.0.2.20', unsigned)).toBe(true);
  await narrow.close();
});

test('the hash by which CertIDs name their authority is counted, and how answers came about', async () => {
  const metrics = createMetrics('test');
  metrics.ocsp.certIds.sha1 += 3;
  metrics.ocsp.kept += 2;
  for (let at = 0; at < 2; at += 1) {
    const text = await metrics.registry.metrics();
    expect(text).toContain('birthmark_ocsp_certids_total{hash="sha1",worker="test"} 3\n');
    expect(text).toContain('birthmark_ocsp_certids_total{hash="sha256",worker="test"} 0\n');
    expect(text).toContain('birthmark_ocsp_answers_total{outcome="kept",worker="test"} 2\n');
  }
});

test('a body that trickles in is not waited for', async () => {
  const { port } = new URL(url);
  const text = await new Promise<string>((resolve) => {
    let got = '';
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('data', (piece) => {
      got += String(piece);
    });
    socket.once('close', () => resolve(got));
    socket.write(`POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Type: ${TYPE}\r\nContent-Length: 90\r\n\r\n0`);
  });
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
});
