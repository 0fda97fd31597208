import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { shareTestServer } from './test-server.ts';

const server = await shareTestServer();
const { house } = server;
const gate = await server.token('gate', { listeners: ['devices'] });
const auditor = await server.token('auditor');
const issuerKeyId = toHex(house.authorities.get('idevid')?.keyId ?? new Uint8Array());

async function grant(serialNumber: string): Promise<string> {
  return toHex((await house.grant(serialNumber)).serial);
}
const at = () => new Date(house.clock.now()).toISOString();
const tell = (body: object, token = gate) => server.ask('POST', '/sightings', { token, body });
const sightingOf = async (serial: string) => {
  const record = await house.ledger.read.findBySerial(Buffer.from(serial, 'hex'));
  const [sighting] = await house.ledger.read.findSightings([record?.id ?? 0]);
  return sighting;
};
async function actsOn(serial: string): Promise<readonly string[]> {
  const { json } = await server.ask('GET', '/audit?limit=1000', { token: auditor });
  return json.items
    .filter(({ subject }: { subject: string }) => subject === `certificate:${serial}`)
    .map(({ action }: { action: string }) => action);
}

describe('the first sight of a certificate', () => {
  test('is kept with its place and its teller, once', async () => {
    const serial = await grant('ST-1');
    const seen = { issuerKeyId, serial, at: at(), listener: 'devices' };
    expect((await tell({ seen: [seen] })).json).toEqual({ seen: 1, enforced: 0, unknown: 0 });
    const first = await sightingOf(serial);
    expect(first).toMatchObject({ seenAt: house.clock.now(), listener: 'devices' });
    expect(first?.toldBy).toMatch(/^token:gate-/);
    house.clock.pass(5000);
    expect((await tell({ seen: [{ ...seen, at: at() }, seen] })).json).toEqual({
      seen: 0,
      enforced: 0,
      unknown: 0,
    });
    expect(await sightingOf(serial)).toEqual(first);
    expect(await actsOn(serial)).toEqual(['certificate.seen']);
  });

  test('is not in the future, however the gate reckons', async () => {
    const serial = await grant('ST-2');
    await tell({ seen: [{ issuerKeyId, serial, at: '2099-01-01T00:00:00Z', listener: 'devices' }] });
    expect((await sightingOf(serial))?.seenAt).toBe(house.clock.now());
  });

  test.each([
    ['a serial number that is none of ours', (serial: string) => ({ issuerKeyId, serial: `${serial}00` })],
    ['another issuer', (serial: string) => ({ issuerKeyId: 'ab'.repeat(20), serial })],
  ])('of %s is passed over', async (_name, certificate) => {
    const serial = await grant(`ST-${Math.floor(house.clock.now() / 1000)}`);
    house.clock.pass(1000);
    const seen = [{ ...certificate(serial), at: at(), listener: 'devices' }];
    expect((await tell({ seen })).json).toEqual({ seen: 0, enforced: 0, unknown: 1 });
    expect(await sightingOf(serial)).toBeUndefined();
  });
});

test('the enforcement of a revocation is kept once, and never before the revocation', async () => {
  const serial = await grant('ST-10');
  const enforced = [{ issuerKeyId, serial, at: at() }];
  expect((await tell({ enforced })).json.enforced).toBe(0);
  house.clock.pass(60_000);
  await house.revoker(
    { by: { kind: 'serial', serial: Buffer.from(serial, 'hex') }, act: 'revoke' },
    'operator:a',
  );
  const recordedAt = house.clock.now();
  expect((await tell({ enforced })).json).toEqual({ seen: 0, enforced: 1, unknown: 0 });
  house.clock.pass(60_000);
  expect((await tell({ enforced: [{ ...enforced[0], at: at() }] })).json.enforced).toBe(0);
  const { json } = await server.ask('GET', `/certificates/${serial}`, { token: auditor });
  expect(json.revocation.enforcedAt).toBe(new Date(recordedAt).toISOString());
  expect(await actsOn(serial)).toContain('revocation.enforced');
});

describe('a gate speaks for its own listeners', () => {
  const seen = [{ issuerKeyId, serial: '01', at: '2026-01-01T00:00:00Z', listener: 'others' }];
  test('and no other', async () => {
    expect(await tell({ seen })).toMatchObject({ status: 403, json: { code: 'forbidden' } });
  });
  test('and for none where its token has none', async () => {
    const mute = await server.token('gate');
    expect(await tell({ enforced: seen.map(({ listener: _, ...rest }) => rest) }, mute)).toMatchObject({
      status: 403,
    });
  });
  test('and only gates have listeners', async () => {
    const admin = await server.token('admin');
    const ask = (body: object) =>
      server.ask('POST', '/tokens', { token: admin, body: { name: 'x', ...body } });
    expect((await ask({ role: 'auditor', listeners: ['devices'] })).json.field).toBe('listeners');
    expect((await ask({ role: 'gate', listeners: ['devices'] })).json.listeners).toEqual(['devices']);
  });
});
