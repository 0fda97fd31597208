import { beforeAll, describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../src/enroll/ports.ts';
import { newCsr } from '../house.ts';
import { inject, problemOf, shareTestServer, startTestServer } from './test-server.ts';

const server = await shareTestServer();
const tokens = new Map<Role, string>();
beforeAll(async () => {
  for (const role of ROLES) tokens.set(role, await server.token(role));
  await server.house.grant('SN-known');
});

const everybody: readonly Role[] = ROLES;
const csr = newCsr().toString('base64');

/** What each address answers to those who may, and who that is. A refused body is as good: the role is judged first. */
const ADDRESSES: readonly (readonly [
  method: string,
  path: string,
  may: readonly Role[],
  body: object | undefined,
])[] = [
  ['GET', '/devices', ['admin', 'operator', 'auditor'], undefined],
  ['GET', '/devices/SN-known', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/devices/SN-known/allow-rebirth', ['admin', 'operator'], undefined],
  ['GET', '/certificates', ['admin', 'operator', 'auditor'], undefined],
  ['GET', '/certificates/01', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/certificates', ['admin'], { profile: 'server', csr: '*' }],
  ['POST', '/revocations', ['admin', 'operator'], { by: {} }],
  ['POST', '/certificates/01/revoke', ['admin', 'operator'], {}],
  ['POST', '/certificates/01/hold', ['admin', 'operator'], undefined],
  ['POST', '/certificates/01/unhold', ['admin', 'operator'], undefined],
  ['GET', '/campaigns', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/campaigns', ['admin', 'operator'], { name: 'recall' }],
  ['GET', '/campaigns/recall', ['admin', 'operator', 'auditor'], undefined],
  ['GET', '/campaigns/recall/members', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/campaigns/recall/plan', ['admin', 'operator'], undefined],
  ['POST', '/campaigns/recall/approve', ['admin', 'operator'], undefined],
  ['POST', '/campaigns/recall/start', ['admin', 'operator'], undefined],
  ['POST', '/campaigns/recall/pause', ['admin', 'operator'], undefined],
  ['POST', '/campaigns/recall/resume', ['admin', 'operator'], undefined],
  ['POST', '/campaigns/recall/rollback', ['admin', 'operator'], undefined],
  ['DELETE', '/campaigns/recall', ['admin', 'operator'], undefined],
  ['GET', '/hygiene', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/hygiene/scan', ['admin', 'operator'], { afresh: false }],
  ['POST', '/tokens', ['admin'], { role: 'auditor', name: 'a', count: 1 }],
  ['GET', '/tokens', ['admin', 'auditor'], undefined],
  ['DELETE', '/tokens/nobody', ['admin'], undefined],
  ['POST', '/trust', ['admin'], { certificate: '', namespace: 'acme' }],
  ['GET', '/trust', ['admin', 'operator', 'auditor'], undefined],
  ['DELETE', '/trust/00', ['admin'], undefined],
  ['GET', '/authorities', ['admin', 'operator', 'auditor'], undefined],
  ['GET', '/authorities/ldevid', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/authorities/nobody/rotate', ['admin'], {}],
  ['POST', '/authorities/nobody/activate', ['admin'], {}],
  ['POST', '/authorities/nobody/retire', ['admin'], {}],
  ['GET', '/enrollments', ['admin', 'operator', 'auditor'], undefined],
  ['POST', '/enrollments/1/approve', ['admin', 'operator'], undefined],
  ['POST', '/enrollments/1/deny', ['admin', 'operator'], undefined],
  ['GET', '/audit', ['admin', 'auditor'], undefined],
  ['GET', '/incidents', ['admin', 'operator', 'auditor'], undefined],
  ['GET', `/status-feed?since=${'0'.repeat(32)}.0`, ['admin', 'operator', 'auditor', 'gate'], undefined],
  ['GET', '/status-snapshot', ['admin', 'operator', 'auditor', 'gate'], undefined],
  ['POST', '/sightings', ['gate'], {}],
  ['POST', '/tickets', ['admin', 'operator'], { serialNumber: 'SN-1' }],
  ['POST', '/factory/batch', ['admin', 'factory'], undefined],
];

describe.each(ADDRESSES)('%s %s', (method, path, may, body) => {
  const ask = (asked: object) => server.ask(method, path, { ...(body && { body }), ...asked });

  test.each(everybody)('as %s', async (role) => {
    const token = tokens.get(role) ?? '';
    const { status, json } = await ask({ token });
    if (may.includes(role)) expect([401, 403, 500]).not.toContain(status);
    else
      expect([status, json.code]).toEqual([403, path === '/tickets' ? 'profile-not-allowed' : 'forbidden']);
  });

  test.each([
    ['nothing', {}],
    ['a token that is none', { token: 'bmk_x' }],
    ['a token of ours that nobody knows', { token: `bmk_${'0'.repeat(16)}_${'A'.repeat(43)}` }],
    ['a basic password', { headers: { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` } }],
  ])('with %s', async (_title, asked) => {
    // Bodies are judged after the caller where they are judged at all.
    const answer = await ask({
      ...asked,
      headers: { ...('headers' in asked ? asked.headers : {}), 'x-forwarded-for': '192.0.2.7' },
    });
    expect([401, 429]).toContain(answer.status);
    if (answer.status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer realm="birthmark"');
  });
});

describe('a token', () => {
  test.each([
    ['with another secret', (text: string) => text.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))],
    ['as a ticket', (text: string) => text.replace('bmk_', 'bmt_')],
    ['in capitals', (text: string) => text.toUpperCase()],
    ['with a space in it', (text: string) => `${text} x`],
  ])('%s signs nobody in', async (_title, change) => {
    await using other = await startTestServer();
    const text = await other.token('admin');
    expect((await other.ask('GET', '/devices', { token: text })).status).toBe(200);
    expect(problemOf(await other.ask('GET', '/devices', { token: change(text) }))).toBe(
      'unauthenticated 401',
    );
  });

  test('that has expired, and one that was revoked, sign nobody in', async () => {
    await using other = await startTestServer();
    const [first, second] = [await other.token('admin'), await other.token('admin')];
    await other.house.ledger.write((tx) => tx.revokeToken('admin-1', other.house.clock.now()));
    expect((await other.ask('GET', '/devices', { token: first })).status).toBe(401);
    expect((await other.ask('GET', '/devices', { token: second })).status).toBe(200);
    other.house.clock.pass(3_600_000);
    expect((await other.ask('GET', '/devices', { token: second })).status).toBe(401);
  });
});

test('who sends many wrong credentials is told to wait, and right ones still pass', async () => {
  await using other = await startTestServer();
  const right = await other.token('admin');
  const statuses: number[] = [];
  for (let at = 0; at < 70; at += 1)
    statuses.push((await other.ask('GET', '/devices', { token: 'bmk_wrong' })).status);
  expect(new Set(statuses.slice(0, 60))).toEqual(new Set([401]));
  expect(new Set(statuses.slice(61))).toEqual(new Set([429]));
  const told = await other.ask('GET', '/devices', { token: 'bmk_wrong' });
  expect(problemOf(told)).toBe('too-many-requests 429');
  expect(told.headers['retry-after']).toBeDefined();
  expect((await other.ask('GET', '/devices', { token: right })).status).toBe(200);
});

describe('the metrics', () => {
  test('are for those who look after the house, and count what was answered', async () => {
    await using other = await startTestServer();
    const admin = await other.token('admin');
    const factory = await other.token('factory');
    const metrics = (token?: string) =>
      inject(other.remote, 'GET', '/metrics', token === undefined ? {} : { token });
    expect((await metrics()).status).toBe(401);
    expect((await metrics(factory)).status).toBe(403);
    await other.ask('POST', '/certificates', {
      token: admin,
      body: { profile: 'idevid', csr, serialNumber: 'SN-1' },
    });
    await other.ask('POST', '/certificates', {
      token: admin,
      body: { profile: 'idevid', csr, serialNumber: 'SN-2' },
    });
    const { text } = await metrics(admin);
    expect(text).toMatch(/birthmark_enrollments_total\{outcome="issued",worker="test"\} 1/);
    expect(text).toMatch(/birthmark_enrollments_total\{outcome="key-in-use",worker="test"\} 1/);
    expect(text).toMatch(
      /birthmark_http_request_seconds_count\{[^}]*route="\/api\/v1\/certificates",status="201"/,
    );
  });

  test('name no route that does not exist, whatever is asked for', async () => {
    await using other = await startTestServer();
    const admin = await other.token('admin');
    for (let at = 0; at < 5; at += 1) await other.ask('GET', `/guess-${at}`);
    const { text } = await inject(other.remote, 'GET', '/metrics', { token: admin });
    expect(text).not.toContain('guess');
  });
});

test("on the machine's own socket there is no sign-in, and the caller is told as local", async () => {
  const { status } = await inject(server.local, 'POST', '/api/v1/tickets', {
    body: { serialNumber: 'SN-9' },
  });
  expect(status).toBe(201);
  const { json } = await inject(server.local, 'GET', '/api/v1/audit');
  expect(json.items.at(-1)).toMatchObject({ actor: 'local', action: 'ticket.create' });
});
