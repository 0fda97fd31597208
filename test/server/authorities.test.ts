import { expect, test } from 'vitest';
import { parseHeader } from '../../src/broker-auth/status/wire.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { startTestServer } from './test-server.ts';

test('an authority is rotated, activated and retired by the API, and each act is written down', async () => {
  await using server = await startTestServer();
  const token = await server.token('admin');
  const ask = (method: string, path: string, body?: object) =>
    server.ask(method, path, { token, ...(body && { body }) });
  const made = await ask('POST', '/authorities/ldevid/rotate', { algorithm: 'ec-p384' });
  expect([made.status, made.json]).toMatchObject([
    201,
    { name: 'ldevid-2', state: 'prepared', algorithm: 'ec-p384', changed: true },
  ]);
  expect((await ask('POST', '/authorities/ldevid/rotate')).json).toMatchObject({ changed: false });
  const early = await ask('POST', '/authorities/ldevid/activate');
  expect([early.status, early.json.code]).toEqual([409, 'authority-not-ready']);
  const moved = await ask('POST', '/authorities/ldevid/activate', { now: true });
  expect(moved.json).toMatchObject({ name: 'ldevid-2', state: 'current', changed: true });
  server.house.clock.pass(60_000);
  expect((await ask('GET', '/authorities/ldevid')).json).toMatchObject({
    state: 'former',
    standing: { certificates: 0 },
  });
  expect((await ask('POST', '/authorities/ldevid/retire')).json).toMatchObject({ state: 'retired' });
  expect((await ask('GET', '/authorities')).json.items).toHaveLength(5);
  const { items } = await server.house.ledger.read.listAudit({ limit: 100 });
  expect(items.filter(({ action }) => action.startsWith('authority.')).map(({ action }) => action)).toEqual([
    'authority.prepare',
    'authority.activate',
    'authority.retire',
  ]);
});

test('rotate with "now" lets it issue in one call, and another one soon after is refused', async () => {
  await using server = await startTestServer();
  const token = await server.token('admin');
  const rotate = () => server.ask('POST', '/authorities/ldevid/rotate', { token, body: { activate: 'now' } });
  expect((await rotate()).json).toMatchObject({ name: 'ldevid-2', state: 'current' });
  const again = await rotate();
  expect([again.status, again.json.code, again.json.field]).toEqual([409, 'already-exists', 'from']);
});

test('a snapshot names a new authority and has its certificate, in another epoch than before', async () => {
  await using server = await startTestServer();
  await server.signSnapshots();
  const token = await server.token('gate');
  const header = async () => {
    const { text } = await server.ask('GET', '/status-snapshot', { token });
    return parseHeader(JSON.parse(text.split('\n')[0] ?? ''), '');
  };
  const before = await header();
  const admin = await server.token('admin');
  await server.ask('POST', '/authorities/ldevid/rotate', { token: admin });
  const after = await header();
  expect(after.epoch).not.toBe(before.epoch);
  expect(after.authorities.map(({ name }) => name)).toEqual([
    ...before.authorities.map(({ name }) => name),
    'ldevid-2',
  ]);
  expect(after.intermediates).toHaveLength((before.intermediates ?? []).length + 1);
  for (const text of after.intermediates ?? []) parseCertificate(Buffer.from(text, 'base64'));
});
