import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { toPem } from '../../src/x509/pem.ts';
import { BEGINNING, DAY_MS } from '../house.ts';
import { makeAuthority } from '../x509/path/make-certificate.ts';
import { problemOf, shareTestServer } from './test-server.ts';

const server = await shareTestServer();
const token = await server.token('admin');
const { der } = makeAuthority({
  cn: 'Acme CA',
  fields: { notBefore: BEGINNING - DAY_MS, notAfter: BEGINNING + DAY_MS },
});
const certificate = toPem('CERTIFICATE', der);
const openssl = new X509Certificate(der);
const body = { certificate, namespace: 'acme', serialPattern: 'AC-*' };

test('a CA is trusted, listed and trusted no longer', async () => {
  const added = await server.ask('POST', '/trust', { token, body });
  expect(added.status).toBe(201);
  const record = {
    namespace: 'acme',
    fingerprint: openssl.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: 'CN=Acme CA',
    notAfter: new Date(openssl.validTo).toISOString(),
    serialPattern: 'AC-*',
    validity: 'all',
    addedBy: 'token:admin-1',
  };
  expect(added.json.items).toMatchObject([record]);
  expect((await server.ask('GET', '/trust', { token })).json.items).toMatchObject([record]);
  expect(problemOf(await server.ask('POST', '/trust', { token, body }))).toMatch(/^already-exists 409/);
  // Its namespace is known, and empty.
  expect((await server.ask('GET', '/devices?namespace=acme', { token })).json).toEqual({ items: [] });

  const remove = () =>
    server.ask('DELETE', `/trust/${encodeURIComponent(openssl.fingerprint256)}`, { token });
  const removed = await remove();
  expect([removed.status, removed.text]).toEqual([204, '']);
  expect(problemOf(await remove())).toBe('not-found 404:fingerprint');
  expect((await server.ask('GET', '/trust', { token })).json).toEqual({ items: [] });
});

test.each([
  ['another word for validity', { ...body, validity: 'some' }, 'bad-request 400:validity'],
  ['a member that means nothing', { ...body, pattern: '*' }, 'bad-request 400:pattern'],
  ['no namespace', { certificate }, 'bad-request 400:namespace'],
  ['our own namespace', { ...body, namespace: 'own' }, 'name-invalid 400:namespace'],
  ['what is no certificate', { ...body, certificate: 'x' }, 'bad-pem 400:certificate'],
])('%s is refused, with the member named', async (_title, refused, problem) => {
  expect(problemOf(await server.ask('POST', '/trust', { token, body: refused }))).toBe(problem);
});

test.each(['00', 'xyz', `${'0'.repeat(64)}00`])('%s is no fingerprint', async (text) => {
  expect(problemOf(await server.ask('DELETE', `/trust/${text}`, { token }))).toBe(
    'bad-request 400:fingerprint',
  );
});
