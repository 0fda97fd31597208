import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import type { EnrollmentResult } from '../../src/enroll/enroller.ts';
import { renewalId } from '../../src/fleet/renewal/renewal-id.ts';
import { toPem } from '../../src/x509/pem.ts';
import { recordAuthority } from '../ca/record-authority.ts';
import { living } from '../fleet/rotation/living.ts';
import { DAY_MS, newCsr, newKey } from '../house.ts';
import { inject, problemOf, startTestServer, type TestServer } from './test-server.ts';

const idOf = ({ house }: TestServer, { serial }: EnrollmentResult, authority = 'ldevid') =>
  renewalId({ issuerKeyId: house.authorities.get(authority)?.keyId ?? new Uint8Array(), serial });
const ask = (server: TestServer, id: string) => server.ask('GET', `/renewal-info/${id}`);
const began = ({ json }: { json: { suggestedWindow: { start: string } } }) =>
  Date.parse(json.suggestedWindow.start);

describe('renewal-info', () => {
  test('tells anybody the window of an LDevID and when to look again, on both listeners alike', async () => {
    await using server = await startTestServer();
    const { ldevid } = await living(server.house).enrolled('SN-1');
    const answer = await ask(server, idOf(server, ldevid));
    expect([answer.status, answer.headers['retry-after'], answer.json.cause]).toEqual([
      200,
      '21600',
      'schedule',
    ]);
    const { start, end } = answer.json.suggestedWindow;
    expect(Date.parse(end)).toBeGreaterThan(Date.parse(start));
    expect(Date.parse(start)).toBeGreaterThan(server.house.clock.now());
    const open = await inject(server.publicApp, 'GET', `/renewal-info/${idOf(server, ldevid)}`);
    expect(open.json).toEqual(answer.json);
  });

  test.each([
    [
      'an IDevID, which is never renewed',
      async (server: TestServer) => idOf(server, await server.house.grant('X'), 'idevid'),
    ],
    [
      'another issuer',
      async (server: TestServer) => idOf(server, (await living(server.house).enrolled('X')).ldevid, 'idevid'),
    ],
    ['a serial number that is none of ours', async () => 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE'],
  ])('knows nothing of %s', async (_, id) => {
    await using server = await startTestServer();
    expect(problemOf(await ask(server, await id(server)))).toBe('not-found 404');
  });

  test('refuses what is no id', async () => {
    await using server = await startTestServer();
    expect(problemOf(await ask(server, 'AAAA'))).toBe('bad-request 400:id');
  });

  test('says now where an operator or a campaign calls, the earliest of them, and the schedule again when it is taken back', async () => {
    await using server = await startTestServer();
    const { house } = server;
    const { ldevid } = await living(house).enrolled('SN-1');
    const id = idOf(server, ldevid);
    const { id: certificateId = 0 } = (await house.ledger.read.findBySerial(ldevid.serial)) ?? {};
    const call = { certificateId, calledAt: house.clock.now(), calledBy: 'operator:anna' };
    await house.ledger.write((tx) =>
      tx.callRenewals([{ ...call, cause: 'campaign:7', at: house.clock.now() + DAY_MS }]),
    );
    expect((await ask(server, id)).json.cause).toBe('campaign:7');
    const token = await server.token('operator');
    await server.ask('POST', '/devices/SN-1/call-renewal', { token });
    const answer = await ask(server, id);
    expect([answer.json.cause, began(answer)]).toEqual(['operator', house.clock.now()]);
    await house.ledger.write(async (tx) => {
      await tx.dropRenewalCalls([certificateId], 'operator');
      await tx.dropRenewalCalls([certificateId], 'campaign:7');
    });
    expect((await ask(server, id)).json.cause).toBe('schedule');
  });

  test.each([
    ['held', 'hold'],
    ['revoked', 'revoke'],
  ] as const)('says now for one that is %s, and not for its neighbour', async (cause, act) => {
    await using server = await startTestServer();
    const life = living(server.house);
    const [{ ldevid }, { ldevid: other }] = [await life.enrolled('SN-1'), await life.enrolled('SN-2')];
    await server.house.revoker({ by: { kind: 'serial', serial: ldevid.serial }, act }, 'operator:anna');
    const answer = await ask(server, idOf(server, ldevid));
    expect([answer.json.cause, began(answer) <= server.house.clock.now()]).toEqual([cause, true]);
    expect((await ask(server, idOf(server, other))).json.cause).toBe('schedule');
  });

  test('says now where the key is blocked, and where the issuer was revoked', async () => {
    await using server = await startTestServer();
    const { house } = server;
    const { ldevid } = await living(house).enrolled('SN-1');
    const { keyHash = new Uint8Array() } = (await house.ledger.read.findBySerial(ldevid.serial)) ?? {};
    await house.ledger.write((tx) => tx.blockKey(keyHash, 'a test', house.clock.now()));
    expect((await ask(server, idOf(server, ldevid))).json.cause).toBe('key-blocked');
    const { ldevid: other } = await living(house).enrolled('SN-2');
    expect((await ask(server, idOf(server, other))).json.cause).toBe('schedule');
    await recordAuthority(house, 'ldevid');
    const serial = house.authorities.get('ldevid')?.certificate.tbs.serial ?? new Uint8Array();
    await house.revoker({ by: { kind: 'serial', serial }, act: 'revoke', cascade: false }, 'operator:anna');
    await house.standing.look();
    expect((await ask(server, idOf(server, other))).json.cause).toBe('issuer-revoked');
  });

  test('of a certificate is in the answer of its enrollment, and its device is due when it has begun', async () => {
    await using server = await startTestServer();
    const operator = await server.token('operator');
    await server.house.grant('SN-1');
    const { json: made } = await server.ask('POST', '/tickets', {
      token: operator,
      body: { serialNumber: 'SN-1' },
    });
    const csr = toPem('CERTIFICATE REQUEST', newCsr());
    const { json } = await server.ask('POST', '/enroll', { token: made.ticket, body: { csr } });
    const told = await ask(server, json.renewal.id);
    expect(told.json.suggestedWindow).toEqual({ start: json.renewal.start, end: json.renewal.end });
    const due = async () => {
      const auditor = await server.token('auditor');
      const one = await server.ask('GET', '/devices/SN-1', { token: auditor });
      const list = await server.ask('GET', '/devices', { token: auditor });
      expect(list.json.items[0].renewalDue).toBe(one.json.renewalDue);
      return one.json.renewalDue;
    };
    expect(await due()).toBe(false);
    server.house.clock.pass(began(told) - server.house.clock.now());
    expect(await due()).toBe(true);
  });
});

describe('a confirmation', () => {
  const GRACE_MS = 3_600_000;
  const challenged = async (
    server: TestServer,
    key: ReturnType<typeof newKey>,
    { name, serial }: { readonly name?: string; readonly serial?: Uint8Array } = {},
  ) => {
    const { json } = await server.ask('GET', '/confirmations');
    const csr = toPem(
      'CERTIFICATE REQUEST',
      newCsr(key, { subject: [{ type: 'CN', value: name ?? json.challenge }] }),
    );
    return server.ask('POST', '/confirmations', { body: { csr, ...(serial && { serial: toHex(serial) }) } });
  };

  test('by the new key begins the grace of the old one, once', async () => {
    await using server = await startTestServer();
    const life = living(server.house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const b = await life.come(a, { renews: true });
    expect((await challenged(server, b.key)).json).toEqual({ serial: toHex(b.serial), first: true });
    expect((await challenged(server, b.key)).json.first).toBe(false);
    server.house.clock.pass(GRACE_MS);
    expect([await life.retire(), await life.status(a)]).toEqual([1, 'superseded']);
  });

  test('of the first LDevID makes its device active, and is written down once', async () => {
    await using server = await startTestServer();
    const life = living(server.house);
    const { ldevid } = await life.enrolled('SN-1');
    expect(await life.state('SN-1')).toBe('enrolled');
    expect((await challenged(server, ldevid.key)).json).toEqual({
      serial: toHex(ldevid.serial),
      first: true,
    });
    expect(await life.state('SN-1')).toBe('active');
    const { read } = server.house.ledger;
    const before = await read.listAudit({ limit: 1000 });
    server.house.clock.pass(60_000);
    expect((await challenged(server, ldevid.key)).json.first).toBe(false);
    expect(await read.listAudit({ limit: 1000 })).toEqual(before);
  });

  test('by the old key after its successor was used is a conflict', async () => {
    await using server = await startTestServer();
    const life = living(server.house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const b = await life.come(a, { renews: true });
    await challenged(server, b.key);
    server.house.clock.pass(301_000);
    expect(problemOf(await challenged(server, a.key))).toBe('certificate-held 403');
    expect(await life.state('SN-1')).toBe('quarantined');
  });

  test('by a key that two certificates have says nothing until it says which: the newer one may have been lost', async () => {
    await using server = await startTestServer();
    const life = living(server.house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const b = await life.come(a, { renews: true, key: a.key });
    expect(problemOf(await challenged(server, a.key))).toBe('bad-request 400:serial');
    expect((await challenged(server, a.key, { serial: a.serial })).json.first).toBe(false);
    expect(await life.rotations('SN-1')).toEqual(['open']);
    expect((await challenged(server, a.key, { serial: b.serial })).json.first).toBe(true);
    expect(await life.rotations('SN-1')).toEqual(['used']);
    server.house.clock.pass(GRACE_MS);
    await life.retire();
    expect((await challenged(server, a.key)).json).toEqual({ serial: toHex(b.serial), first: false });
    expect(problemOf(await challenged(server, newKey(), { serial: b.serial }))).toBe('not-found 404:csr');
  });

  test('by the key of a retired certificate that has ended since is no evidence against its device', async () => {
    await using server = await startTestServer();
    const life = living(server.house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const { notAfter = 0 } = (await server.house.ledger.read.findBySerial(a.serial)) ?? {};
    server.house.clock.pass((notAfter - server.house.clock.now()) / 2);
    const b = await life.come(a, { renews: true });
    await life.see(b);
    server.house.clock.pass(GRACE_MS);
    await life.retire();
    server.house.clock.pass(notAfter - server.house.clock.now());
    expect(problemOf(await challenged(server, a.key))).toBe('not-found 404:csr');
    expect([await life.status(b), await life.incidents()]).toEqual(['good', []]);
  });

  test('that somebody overheard is worth nothing later, and a CSR that was made to enroll never is', async () => {
    await using server = await startTestServer();
    const life = living(server.house);
    const { ldevid: a } = await life.enrolled('SN-1');
    const b = await life.come(a, { renews: true });
    const { json } = await server.ask('GET', '/confirmations');
    server.house.clock.pass(16 * 60_000);
    expect(problemOf(await challenged(server, b.key, { name: json.challenge }))).toBe('bad-csr 400:csr');
    expect(problemOf(await challenged(server, b.key, { name: 'SN-1' }))).toBe('bad-csr 400:csr');
    const compromise = await server.ask('GET', '/key-compromise');
    expect(problemOf(await challenged(server, b.key, { name: compromise.json.challenge }))).toBe(
      'bad-csr 400:csr',
    );
    expect(await life.rotations('SN-1')).toEqual(['open']);
  });

  test('by a key that has no LDevID here is refused', async () => {
    await using server = await startTestServer();
    const { idevid } = await living(server.house).enrolled('SN-1');
    expect(problemOf(await challenged(server, newKey()))).toBe('not-found 404:csr');
    expect(problemOf(await challenged(server, idevid.key))).toBe('not-found 404:csr');
  });
});
