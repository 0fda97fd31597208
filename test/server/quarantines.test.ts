import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { shareTestServer } from './test-server.ts';

const server = await shareTestServer();
const { house } = server;
const gate = await server.token('gate', { listeners: ['devices'] });
const auditor = await server.token('auditor');
const keyIdOf = (name: string) => toHex(house.authorities.get(name)?.keyId ?? new Uint8Array());
const issuerKeyId = keyIdOf('idevid');

const grant = async (serialNumber: string) => toHex((await house.grant(serialNumber)).serial);
const report = (serial: string, changes: object = {}) => ({
  ...{ issuerKeyId, serial, at: new Date(house.clock.now()).toISOString(), listener: 'devices' },
  ...{ rule: 'scanning', behaviour: 'topicDenied', count: 21 },
  ...changes,
});
const tell = (devices: readonly object[], token = gate) =>
  server.ask('POST', '/quarantines', { token, body: { devices } });
const statusOf = async (serial: string) =>
  (await server.ask('GET', `/certificates/${serial}`, { token: auditor })).json.status;
const actsOn = async (subject: string) =>
  (await server.ask('GET', '/audit?limit=1000', { token: auditor })).json.items
    .filter((one: { subject: string }) => one.subject === subject)
    .map(({ action, actor }: { action: string; actor: string }) => `${action} ${actor.split('-')[0]}`);

describe('the word of a gate that a device misbehaves', () => {
  test('puts its certificates on hold, once, with an incident and who said so', async () => {
    const serial = await grant('QU-1');
    expect((await tell([report(serial)])).json).toEqual({ results: ['held'] });
    expect(await statusOf(serial)).toBe('held');
    expect((await tell([report(serial)])).json).toEqual({ results: ['already'] });
    expect(await actsOn('device:own/QU-1')).toEqual([
      'certificate.issue operator:test',
      'device.quarantineByGate token:gate',
    ]);
    expect(await actsOn(`certificate:${serial}`)).toContain('certificate.hold token:gate');
    const incidents = await house.ledger.read.listIncidents({ limit: 100 });
    expect(incidents.items.filter(({ subject }) => subject === 'device:own/QU-1')).toMatchObject([
      { kind: 'misbehaviour', facts: { rule: 'scanning', count: 21, listener: 'devices' } },
    ]);
  });

  test('leaves the other devices alone', async () => {
    const [one, other] = [await grant('QU-2'), await grant('QU-3')];
    await tell([report(one)]);
    expect(await statusOf(other)).toBe('good');
  });

  test('is no way to put one back on hold that is revoked', async () => {
    const serial = await grant('QU-4');
    await house.revoker(
      { by: { kind: 'serial', serial: Buffer.from(serial, 'hex') }, act: 'revoke' },
      'operator:a',
    );
    expect((await tell([report(serial)])).json).toEqual({ results: ['already'] });
    expect(await statusOf(serial)).toBe('revoked');
  });

  test('of what is no device of ours is passed over: another issuer, another serial number, an authority', async () => {
    const serial = await grant('QU-5');
    const authority = house.authorities.get('idevid')?.certificate.tbs.serial ?? new Uint8Array();
    const { json } = await tell([
      report(serial, { issuerKeyId: 'ab'.repeat(20) }),
      report(`${serial}00`),
      report(toHex(authority), { issuerKeyId: keyIdOf('root') }),
    ]);
    expect(json).toEqual({ results: ['unknown', 'unknown', 'unknown'] });
    expect(await statusOf(serial)).toBe('good');
  });
});

describe('who may say it', () => {
  test('is a gate, for its own listeners', async () => {
    const serial = await grant('QU-6');
    expect(await tell([report(serial, { listener: 'others' })])).toMatchObject({ status: 403 });
    expect(await tell([report(serial)], await server.token('gate'))).toMatchObject({ status: 403 });
    for (const role of ['auditor', 'factory'] as const)
      expect(await tell([report(serial)], await server.token(role))).toMatchObject({ status: 403 });
    expect(await statusOf(serial)).toBe('good');
  });

  test('is held to fifty an hour, since a gate may be in other hands', async () => {
    const expiresAt = house.clock.now() + 2 * 3_600_000;
    const mine = await server.token('gate', { listeners: ['devices'], expiresAt });
    const serials: string[] = [];
    for (let n = 0; n < 51; n += 1) serials.push(await grant(`QM-${n}`));
    const { json: first } = await tell(
      serials.slice(0, 50).map((serial) => report(serial)),
      mine,
    );
    expect(new Set(first.results)).toEqual(new Set(['held']));
    const [last = ''] = serials.slice(50);
    expect((await tell([report(last)], mine)).json).toEqual({ results: ['tooMany'] });
    expect(await statusOf(last)).toBe('good');
    const incidents = await house.ledger.read.listIncidents({ limit: 1000 });
    expect(incidents.items.filter(({ kind }) => kind === 'gate-quarantines')).toHaveLength(1);
    house.clock.pass(3_600_000);
    expect((await tell([report(last)], mine)).json).toEqual({ results: ['held'] });
  });
});
