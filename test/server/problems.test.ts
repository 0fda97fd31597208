import { describe, expect, test } from 'vitest';
import { BirthmarkError, ERROR_CODES } from '../../src/core/errors.ts';
import { toProblem } from '../../src/server/problem.ts';
import { newCsr } from '../house.ts';
import { inject, LIMITS, problemOf, shareTestServer, startTestServer } from './test-server.ts';

describe('a problem document', () => {
  test.each(ERROR_CODES)('of %s has a status, and tells of faults on our side nothing', (code) => {
    const problem = toProblem(
      new BirthmarkError(code, 'a detail', { field: 'csr', cause: new Error('underneath') }),
    );
    // Who waits for a person's word has made no mistake, and has not got anything either.
    if (code === 'approval-waiting') expect(problem.status).toBe(202);
    else expect(problem.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(problem)).not.toContain('underneath');
    if (problem.status === 500) {
      expect(problem).toMatchObject({ code: 'internal', type: 'urn:birthmark:error:internal' });
      expect(JSON.stringify(problem)).not.toMatch(/a detail|csr/);
    } else {
      expect(problem).toMatchObject({
        type: `urn:birthmark:error:${code}`,
        code,
        detail: 'a detail',
        field: 'csr',
      });
    }
  });

  test.each([
    ['an error that is not ours', new TypeError('x is undefined at secret.ts')],
    ['a text', 'secret'],
    ['nothing', undefined],
    ['an error with a code that nobody knows', Object.assign(new Error('secret'), { code: 'E_SECRET' })],
  ])('of %s is a bare 500', (_title, error) => {
    const problem = toProblem(error);
    expect(problem).toMatchObject({ status: 500, code: 'internal' });
    expect(JSON.stringify(problem)).not.toContain('secret');
  });
});

test('a fault of ours is a bare 500 for the client and a full line in the log', async () => {
  await using closing = await startTestServer();
  const token = await closing.token('auditor');
  closing.house.ledger.close();
  const answer = await closing.ask('GET', '/devices', { token });
  expect(problemOf(answer)).toBe('unavailable 503');
  expect(answer.headers['retry-after']).toBe('1');
  expect(answer.text).not.toMatch(/\bat \S+:\d+|\.ts|stack/);
  expect(closing.log.join('')).toContain('a request failed');
});

const server = await shareTestServer();
const token = await server.token('auditor');

describe('an address', () => {
  test.each([
    ['GET', '/api/v1/nothing', 'not-found 404'],
    ['GET', '/', 'not-found 404'],
    ['GET', '/api/v1/devices/%zz', 'bad-request 400'],
    ['GET', '/api/v1/devices/a/b', 'not-found 404'],
    ['GET', `/api/v1/devices/${'a'.repeat(300)}`, 'not-found 404'],
    ['PUT', '/api/v1/devices', 'method-not-allowed 405'],
    ['DELETE', '/api/v1/factory/batch', 'method-not-allowed 405'],
    ['GET', '/api/v1/enroll', 'method-not-allowed 405'],
    ['GET', '/api/v1/enroll?x=1', 'method-not-allowed 405'],
    ['POST', '/api/v1/devices/SN-1', 'method-not-allowed 405'],
    ['OPTIONS', '/api/v1/tokens', 'method-not-allowed 405'],
  ])('%s %s: %s', async (method, url, problem) => {
    const answer = await inject(server.remote, method, url);
    expect(problemOf(answer)).toBe(problem);
  });

  test.each([
    ['/api/v1/devices', 'GET, HEAD'],
    ['/api/v1/certificates', 'GET, HEAD, POST'],
    ['/api/v1/enroll', 'POST'],
    ['/api/v1/tokens/a%2Fb', 'DELETE'],
  ])('%s allows %s', async (url, allowed) => {
    const { headers } = await inject(server.remote, 'PATCH', url);
    expect(String(headers.allow).split(', ').sort()).toEqual(allowed.split(', ').sort());
  });

  test('whose last part is as long as a device may be named is found', async () => {
    const serialNumber = '/'.repeat(64);
    await server.house.grant(serialNumber);
    const answer = await server.ask('GET', `/devices/${encodeURIComponent(serialNumber)}`, { token });
    expect(answer.json.serialNumber).toBe(serialNumber);
  });
});

describe('a body', () => {
  test.each<[string, string, object, string]>([
    ['that is no JSON', '/enroll', { body: '{', type: 'application/json' }, 'bad-json 400'],
    ['that is empty', '/enroll', { body: '', type: 'application/json' }, 'bad-json 400'],
    [
      'with a poisoned prototype',
      '/enroll',
      { body: '{"csr":"","__proto__":{"x":1}}', type: 'application/json' },
      'bad-json 400',
    ],
    [
      'with a poisoned constructor',
      '/enroll',
      { body: '{"csr":"","constructor":{"prototype":{}}}', type: 'application/json' },
      'bad-json 400',
    ],
    ['that is a list', '/enroll', { body: '[]', type: 'application/json' }, 'bad-request 400'],
    ['that is null', '/enroll', { body: 'null', type: 'application/json' }, 'bad-request 400'],
    ['that is missing', '/enroll', {}, 'bad-request 400'],
    ['in XML', '/enroll', { body: '<csr/>', type: 'application/xml' }, 'unsupported-media-type 415'],
    ['in plain text', '/enroll', { body: '{}', type: 'text/plain' }, 'unsupported-media-type 415'],
    [
      'of a form',
      '/tickets',
      { body: 'a=b', type: 'application/x-www-form-urlencoded' },
      'unsupported-media-type 415',
    ],
    [
      'in lines where one object belongs',
      '/tickets',
      { body: '{}\n', type: 'application/x-ndjson' },
      'unsupported-media-type 415',
    ],
    ['without a type', '/tickets', { body: Buffer.from('{}') }, 'unsupported-media-type 415'],
    [
      'with a type that is none',
      '/tickets',
      { body: Buffer.from('{}'), type: 'json' },
      'unsupported-media-type 415',
    ],
    [
      'one octet too large',
      '/enroll',
      { body: JSON.stringify({ csr: 'A'.repeat(LIMITS.bodyOctets - 9) }), type: 'application/json' },
      'body-too-large 413',
    ],
  ])('%s', async (_title, path, asked, problem) => {
    expect(problemOf(await server.ask('POST', path, asked)).replace(/:.*/, '')).toBe(problem);
  });

  test('just small enough is read', async () => {
    const body = JSON.stringify({ csr: 'A'.repeat(LIMITS.bodyOctets - 10) });
    expect(body).toHaveLength(LIMITS.bodyOctets);
    expect(problemOf(await server.ask('POST', '/enroll', { body, type: 'application/json' }))).toBe(
      'unauthenticated 401',
    );
  });

  test.each<[string, object, string]>([
    ['a member that is missing', {}, 'csr'],
    ['a member of a wrong type', { csr: 1 }, 'csr'],
    ['a member that is unknown', { csr: newCsr().toString('base64'), csrs: [] }, 'csrs'],
  ])('names %s', async (_title, body, field) => {
    expect(problemOf(await server.ask('POST', '/enroll', { body }))).toBe(`bad-request 400:${field}`);
  });
});

describe('a query', () => {
  test.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=x', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['limit[]=1', 'limit[]'],
    ['state=lost', 'state'],
    ['cursor=%00', 'cursor'],
    ['cursor=WyJhdWRpdCIsMV0', 'cursor'],
    ['unknown=1', 'unknown'],
    ['__proto__=1', '__proto__'],
    [`query=${'a'.repeat(65)}`, 'query'],
  ])('%s is refused with its name', async (query, field) => {
    expect(problemOf(await server.ask('GET', `/devices?${query}`, { token }))).toBe(
      `bad-request 400:${field}`,
    );
  });

  test.each(['', 'limit=1', 'limit=1000', 'query=%25', 'state=enrolled&namespace=own'])(
    '%j is taken',
    async (query) => {
      expect((await server.ask('GET', `/devices?${query}`, { token })).status).toBe(200);
    },
  );
});

test('no answer tells which program it comes from, and none may be framed or sniffed', async () => {
  const { headers } = await server.ask('GET', '/devices');
  expect(headers['x-powered-by']).toBeUndefined();
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['strict-transport-security']).toBeDefined();
});

test.each([
  ['deeply nested lists', `${'['.repeat(30_000)}${']'.repeat(30_000)}`],
  [
    'deeply nested objects around a poisoned one',
    `${'{"a":'.repeat(5000)}{"__proto__":1}${'}'.repeat(5000)}`,
  ],
  ['a number beyond all numbers', '{"csr":1e999}'],
])('%s are refused and harm nobody', async (_title, body) => {
  const answer = await server.ask('POST', '/enroll', { body, type: 'application/json' });
  expect(answer.status).toBe(400);
});
