import { randomBytes, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { publishedUrls } from '../../src/ca/published-urls.ts';
import { createBaseApp } from '../../src/server/base-app.ts';
import { addCrlRoutes } from '../../src/server/crl-routes.ts';
import { toPem } from '../../src/x509/pem.ts';
import { PUBLIC_URL } from '../house.ts';
import { inject, problemOf, shareTestServer } from './test-server.ts';

const HOUR_MS = 3_600_000;
const server = await shareTestServer();
const { authorities, ledger, clock } = server.house;

function publish(): Promise<number> {
  const policy = { shards: 4, validityMs: 10 * HOUR_MS, coalesceMs: 60_000, idp: 'partitionedOnly' as const };
  return publishDueCrls({ authorities, ledger, urls: publishedUrls(PUBLIC_URL), policy }, clock.now());
}
await publish();

function get(url: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') {
  return inject(server.publicApp, method, url, { headers });
}

describe.each(['root', 'idevid', 'ldevid', 'service'])('authority %s', (name) => {
  test('is fetched as DER and as PEM', async () => {
    const [der, pem] = [await get(`/ca/${name}.cer`), await get(`/ca/${name}.pem`)];
    const raw = authorities.get(name)?.certificate.raw;
    expect([der.headers['content-type'], pem.headers['content-type']]).toEqual([
      'application/pkix-cert',
      'application/x-pem-file',
    ]);
    expect(der.raw).toEqual(raw);
    expect(new X509Certificate(pem.text).raw).toEqual(raw);
  });

  test('publishes its list as DER and as PEM', async () => {
    const record = await ledger.read.findCrl(name, 'full');
    const [der, pem] = [await get(`/crl/${name}.crl`), await get(`/crl/${name}.pem`)];
    expect([der.headers['content-type'], pem.headers['content-type']]).toEqual([
      'application/pkix-crl',
      'application/x-pem-file',
    ]);
    expect(der.raw).toEqual(record?.crl);
    expect(pem.text).toMatch(/^-----BEGIN X509 CRL-----\n/);
  });
});

test('the URL that a certificate names gives the list of its shard', async () => {
  const { certificate } = await server.house.grant('SN-1');
  const url = /http:\/\/[^\s]*?\.crl/.exec(certificate.toString('latin1'))?.[0] ?? '';
  expect(url).toMatch(/\/crl\/idevid\/[0-3]\.crl$/);
  const { status, raw } = await get(url.slice(PUBLIC_URL.length));
  expect(status).toBe(200);
  // The list says for which URL it is.
  expect(raw.includes(url)).toBe(true);
});

describe('a list', () => {
  test('says how long it may be kept: five minutes, and never beyond its end', async () => {
    expect((await get('/crl/root.crl')).headers['cache-control']).toBe('public, max-age=300');
    clock.pass(10 * HOUR_MS - 60_000);
    expect((await get('/crl/root.crl')).headers['cache-control']).toBe('public, max-age=60');
    clock.pass(120_000);
    expect((await get('/crl/root.crl')).headers['cache-control']).toBe('public, max-age=0');
    clock.pass(-10 * HOUR_MS - 60_000);
  });

  test.each([
    ['its tag', (tag: string) => tag, 304],
    ['its tag as a cache on the way weakened it', (tag: string) => `W/${tag}`, 304],
    ['a list of tags with its own', (tag: string) => `"x", ${tag}`, 304],
    ['a star', () => '*', 304],
    ['another tag', () => '"x"', 200],
    ['its tag without quotes', (tag: string) => tag.replaceAll('"', ''), 200],
    ["another form's tag", (tag: string) => tag.replace('der', 'pem'), 200],
  ])('asked for with If-None-Match: %s', async (_title, change, status) => {
    const tag = String((await get('/crl/root.crl')).headers.etag);
    const answer = await get('/crl/root.crl', { 'if-none-match': change(tag) });
    expect(answer.status).toBe(status);
    expect(answer.headers.etag).toBe(tag);
    expect(answer.raw.length > 0).toBe(status === 200);
  });

  test('has another tag when it is replaced', async () => {
    const before = String((await get('/crl/root.crl')).headers.etag);
    clock.pass(6 * HOUR_MS);
    await publish();
    const after = await get('/crl/root.crl', { 'if-none-match': before });
    expect(after.status).toBe(200);
    expect(after.headers.etag).not.toBe(before);
    expect(Date.parse(String(after.headers['last-modified']))).toBe(clock.now());
  });

  test.each([
    ['the time of the list', (time: string) => time, 304],
    ['a later time', (time: string) => new Date(Date.parse(time) + 1000).toUTCString(), 304],
    ['an earlier time', (time: string) => new Date(Date.parse(time) - 1000).toUTCString(), 200],
    ['no time', () => 'yesterday', 200],
  ])('asked for with If-Modified-Since: %s', async (_title, change, status) => {
    const { headers } = await get('/crl/root.crl');
    const since = change(String(headers['last-modified']));
    expect((await get('/crl/root.crl', { 'if-modified-since': since })).status).toBe(status);
    // Whoever says a tag means the tag.
    const both = { 'if-modified-since': since, 'if-none-match': '"x"' };
    expect((await get('/crl/root.crl', both)).status).toBe(200);
  });

  test('that was replaced within its second has another time than the one before', async () => {
    const url = '/crl/idevid/delta.crl';
    const times: number[] = [];
    for (const name of ['SN-2', 'SN-3']) {
      const { serial } = await server.house.grant(name);
      await server.house.revoker({ act: 'revoke', by: { kind: 'serial', serial } }, 'system');
      const facts = await ledger.read.findCrlFacts('idevid', 'delta');
      times.push(facts?.modifiedAt ?? 0);
    }
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBe(1000);
    // One that is to come is not told.
    expect((await get(url)).headers['last-modified']).toBeUndefined();
    clock.pass(10_000);
    expect(Date.parse(String((await get(url)).headers['last-modified']))).toBe(times[1]);
  });

  test.each(['idevid', 'idevid/0', 'idevid/delta', 'root/delta'])(
    '%s is there as PEM of the same octets',
    async (list) => {
      const [der, pem] = [await get(`/crl/${list}.crl`), await get(`/crl/${list}.pem`)];
      expect([der.status, pem.status, pem.headers['content-type']]).toEqual([
        200,
        200,
        'application/x-pem-file',
      ]);
      expect(pem.text).toBe(toPem('X509 CRL', der.raw));
      expect(Number(pem.headers['content-length'])).toBe(pem.raw.length);
    },
  );

  test('is told about by HEAD, with its length', async () => {
    const { status, headers, text } = await get('/crl/root.crl', {}, 'HEAD');
    expect([status, text]).toEqual([200, '']);
    expect(Number(headers['content-length'])).toBeGreaterThan(100);
  });
});

describe('a list of many pieces', () => {
  const octets = randomBytes(3_000_001);
  // Of what lists are made of: few of its octets are chance.
  octets.fill(7, 100_000);
  const pieces = Array.from({ length: 12 }, (_, at) => octets.subarray(at * 262_128, (at + 1) * 262_128));
  const facts = { authority: 'service', scope: '9', number: 1, changes: 0, endedBefore: 0, idp: true };
  beforeAll(async () => {
    const crl = { ...facts, thisUpdate: clock.now(), nextUpdate: clock.now() + HOUR_MS };
    await ledger.write(async (tx) => {
      await tx.addCrlPieces(crl, 0, pieces);
      expect(await tx.publishCrl(crl)).toBe(true);
    });
  });
  const url = '/crl/service/9.crl';

  test('is sent whole, as DER and as PEM', async () => {
    const [der, pem] = [await get(url), await get('/crl/service/9.pem')];
    expect(der.raw.equals(octets)).toBe(true);
    expect(pem.text === toPem('X509 CRL', octets)).toBe(true);
    expect([der, pem].map(({ raw, headers }) => Number(headers['content-length']) - raw.length)).toEqual([
      0, 0,
    ]);
  });

  test('is compressed for who takes that: as it is until that is done, and of another tag', async () => {
    const gzip = { 'accept-encoding': 'br, gzip;q=0.5' };
    const plain = await get(url, gzip);
    expect([plain.headers['content-encoding'], plain.headers.vary]).toEqual([undefined, 'accept-encoding']);
    let packed = plain;
    for (let tries = 0; tries < 500 && packed.headers['content-encoding'] === undefined; tries += 1) {
      await sleep(10);
      packed = await get(url, gzip);
    }
    expect(gunzipSync(packed.raw).equals(octets)).toBe(true);
    expect(packed.raw.length).toBeLessThan(octets.length / 2);
    expect(Number(packed.headers['content-length'])).toBe(packed.raw.length);
    expect(packed.headers.etag).not.toBe(plain.headers.etag);
    for (const { headers } of [plain, packed])
      expect((await get(url, { ...gzip, 'if-none-match': String(headers.etag) })).status).toBe(304);
    for (const refused of ['gzip;q=0', 'identity', 'br', '*;q=0', 'gzip;q=0, *'])
      expect((await get(url, { 'accept-encoding': refused })).headers['content-encoding']).toBeUndefined();
    for (const taken of ['gzip', 'x-gzip', '*', 'GZIP ; Q=0.1'])
      expect((await get(url, { 'accept-encoding': taken })).headers['content-encoding']).toBe('gzip');
  });

  test('is told about by HEAD, and is unchanged, without a look at its octets', async () => {
    const unread = {
      ...ledger.read,
      readCrlPiece: () => Promise.reject(new Error('read')),
      findCrl: () => Promise.reject(new Error('read')),
    };
    const app = createBaseApp({
      logger: server.publicApp.log,
      limits: { bodyOctets: 4096, bodyMs: 1000, idleMs: 1000, ocspSignaturesPerSecond: 100 },
    });
    addCrlRoutes(app, { crls: unread, clock: clock.now });
    const head = await inject(app, 'HEAD', url, { headers: {} });
    expect([head.status, head.headers['content-length']]).toEqual([200, String(octets.length)]);
    const known = await inject(app, 'GET', url, { headers: { 'if-none-match': String(head.headers.etag) } });
    expect(known.status).toBe(304);
    await app.close();
  });

  test('that was replaced and dropped while it was sent is cut off, not passed for whole', async () => {
    const lost = {
      ...ledger.read,
      readCrlPiece: async (crl: Parameters<typeof ledger.read.readCrlPiece>[0], piece: number) =>
        piece < 5 ? ledger.read.readCrlPiece(crl, piece) : undefined,
    };
    const app = createBaseApp({
      logger: server.publicApp.log,
      limits: { bodyOctets: 4096, bodyMs: 1000, idleMs: 1000, ocspSignaturesPerSecond: 100 },
    });
    addCrlRoutes(app, { crls: lost, clock: clock.now });
    const listening: Promise<string> = app.listen({ port: 0, host: '127.0.0.1' });
    const address = await listening;
    await expect(fetch(`${address}${url}`).then((answer) => answer.arrayBuffer())).rejects.toThrow();
    await app.close();
  });
});

test('a small list is never compressed', async () => {
  const { headers } = await get('/crl/root.crl', { 'accept-encoding': 'gzip' });
  expect(headers['content-encoding']).toBeUndefined();
});

describe('there is nothing at', () => {
  test.each([
    '/ca/nobody.cer',
    '/ca/root',
    '/ca/root.key',
    '/ca/.cer',
    '/ca/..%2froot.cer',
    '/crl/nobody.crl',
    '/crl/root/0.crl',
    '/crl/idevid/4.crl',
    '/crl/idevid/01.crl',
    '/crl/idevid/full.crl',
    '/crl/idevid/deltas.crl',
    '/crl/idevid/4.pem',
    '/crl/nobody/delta.pem',
    '/crl/idevid/-1.crl',
    '/crl/idevid/99999999999.crl',
    `/ca/${'a'.repeat(99)}.cer`,
    '/api/v1/devices',
    '/metrics',
  ])('%s', async (url) => {
    expect(problemOf(await get(url))).toBe('not-found 404');
  });
});

test('it is well and ready, and not ready any more when its ledger is gone', async () => {
  const other = await shareTestServer();
  expect((await inject(other.publicApp, 'GET', '/healthz')).json).toEqual({ status: 'ok' });
  expect((await inject(other.publicApp, 'GET', '/readyz')).json).toEqual({ status: 'ready' });
  other.house.ledger.close();
  expect((await inject(other.publicApp, 'GET', '/healthz')).status).toBe(200);
  expect(problemOf(await inject(other.publicApp, 'GET', '/readyz'))).toBe('unavailable 503');
});

test.each(['/ca/root.cer', '/crl/root.crl', '/healthz'])('%s takes GET and HEAD only', async (url) => {
  const answer = await get(url, {}, 'DELETE');
  expect(problemOf(answer)).toBe('method-not-allowed 405');
  expect(answer.headers.allow).toBe('GET, HEAD');
});
