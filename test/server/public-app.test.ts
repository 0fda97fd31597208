import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { publishedUrls } from '../../src/ca/published-urls.ts';
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

  test('is told about by HEAD, with its length', async () => {
    const { status, headers, text } = await get('/crl/root.crl', {}, 'HEAD');
    expect([status, text]).toEqual([200, '']);
    expect(Number(headers['content-length'])).toBeGreaterThan(100);
  });
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
