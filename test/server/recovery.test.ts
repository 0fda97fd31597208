import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { toPem } from '../../src/x509/pem.ts';
import { hashKey } from '../../src/x509/public-key.ts';
import { newCsr, newKey } from '../house.ts';
import { problemOf, shareTestServer, startTestServer, type TestServer } from './test-server.ts';

const server = await shareTestServer();
const operator = await server.token('operator');
let devices = 0;

interface Device {
  readonly serialNumber: string;
  act(what: string, body?: object): ReturnType<TestServer['ask']>;
  ticket(body?: object, token?: string): ReturnType<TestServer['ask']>;
  enroll(ticket: string, key?: ReturnType<typeof newKey>): ReturnType<TestServer['ask']>;
  state(): Promise<string>;
}

async function born(of: TestServer = server, token = operator): Promise<Device> {
  devices += 1;
  const serialNumber = `RC-${devices}`;
  await of.house.grant(serialNumber);
  return {
    serialNumber,
    act: (what, body) => of.ask('POST', `/devices/${serialNumber}/${what}`, { token, ...(body && { body }) }),
    ticket: (body = {}, by = token) =>
      of.ask('POST', '/tickets', { token: by, body: { serialNumber, ...body } }),
    enroll: (ticket, key = newKey()) =>
      of.ask('POST', '/enroll', {
        token: ticket,
        body: { csr: toPem('CERTIFICATE REQUEST', newCsr(key)) },
      }),
    state: async () => (await of.ask('GET', `/devices/${serialNumber}`, { token })).json.state,
  };
}

const out = async (of?: TestServer, token?: string) => {
  const device = await born(of, token);
  await device.act('recover', { credential: 'idevid' });
  return device;
};

describe('a recovery ticket', () => {
  test('gives another IDevID for a new key, once, and the same one for the same key', async () => {
    const device = await out();
    const { json } = await device.ticket({ recovery: true });
    expect(json.needsApproval).toBe(false);
    const key = newKey();
    const first = await device.enroll(json.ticket, key);
    expect([first.status, await device.state()]).toEqual([200, 'recovering']);
    expect((await device.enroll(json.ticket, key)).json.certificate).toBe(first.json.certificate);
    expect(problemOf(await device.enroll(json.ticket))).toBe('ticket-bound 409');
  });

  test('that names a key is for that key alone', async () => {
    const device = await out();
    const key = newKey();
    const { json } = await device.ticket({ recovery: true, key: toHex(hashKey(key.spki)) });
    expect(problemOf(await device.enroll(json.ticket))).toBe('ticket-bound 409');
    expect((await device.enroll(json.ticket, key)).status).toBe(200);
    expect((await device.enroll(json.ticket, key)).status).toBe(200);
  });

  test('is for a device whose IDevID is compromised, and for no other', async () => {
    const device = await born();
    expect(problemOf(await device.ticket({ recovery: true }))).toBe('bad-request 400:serialNumber');
    await device.act('quarantine');
    expect(problemOf(await device.ticket({ recovery: true }))).toBe('bad-request 400:serialNumber');
  });

  test('is made by operators, and by nobody below', async () => {
    const device = await out();
    const auditor = await server.token('auditor');
    expect(problemOf(await device.ticket({ recovery: true }, auditor))).toBe('forbidden 403');
  });

  test('has no profile of its own, and a plain ticket no key', async () => {
    const device = await out();
    expect(problemOf(await device.ticket({ recovery: true, profile: 'ldevid' }))).toBe(
      'bad-request 400:profile',
    );
    expect(problemOf(await device.ticket({ key: '00'.repeat(32) }))).toBe('bad-request 400:key');
  });
});

describe('while its IDevID is out', () => {
  test('a device gets nothing by a plain ticket, made before or after', async () => {
    const device = await born();
    const before = (await device.ticket()).json.ticket;
    await device.act('recover', { credential: 'idevid' });
    const after = (await device.ticket()).json.ticket;
    expect(problemOf(await device.enroll(before))).toBe('ticket-expired 401');
    expect(problemOf(await device.enroll(after))).toBe('device-restrained 403');
  });
});

test('after its LDevID was out a device gets one by a ticket that was made since, and by none before', async () => {
  const device = await born();
  const [first, unused] = [(await device.ticket()).json.ticket, (await device.ticket()).json.ticket];
  expect((await device.enroll(first)).status).toBe(200);
  await device.act('recover', { credential: 'ldevid' });
  expect(problemOf(await device.enroll(unused))).toBe('ticket-expired 401');
  expect((await device.enroll((await device.ticket()).json.ticket)).status).toBe(200);
  expect(await device.state()).toBe('recovering');
});

describe('a ticket that was made before a revocation for keyCompromise', () => {
  const lost = async (serialNumber: string) => {
    const [device] = await server.house.ledger.read.findDevices([{ namespace: 'own', serialNumber }]);
    const last = (await server.house.ledger.read.findByDevices([device?.id ?? 0])).at(-1);
    const by = { kind: 'serial', serial: last?.serial ?? new Uint8Array() } as const;
    server.house.clock.pass(1000);
    await server.house.revoker({ act: 'revoke', reason: 'keyCompromise', by }, 'operator:test');
    server.house.clock.pass(1000);
  };

  test('gives no LDevID, and one that was made since does', async () => {
    const device = await born();
    const [first, unused] = [(await device.ticket()).json.ticket, (await device.ticket()).json.ticket];
    expect((await device.enroll(first)).status).toBe(200);
    await lost(device.serialNumber);
    expect([await device.state(), problemOf(await device.enroll(unused))]).toEqual([
      'compromised',
      'ticket-expired 401',
    ]);
    const key = newKey();
    const { ticket } = (await device.ticket()).json;
    expect((await device.enroll(ticket, key)).status).toBe(200);
    expect((await device.enroll(ticket, key)).status).toBe(200);
  });

  test('gives no IDevID: of two recovery tickets the one that is left is no way in for who got the new IDevID', async () => {
    const device = await out();
    const [first, unused] = [
      (await device.ticket({ recovery: true })).json.ticket,
      (await device.ticket({ recovery: true })).json.ticket,
    ];
    expect((await device.enroll(first)).status).toBe(200);
    expect(problemOf(await device.enroll(unused))).toBe('device-restrained 403');
    await lost(device.serialNumber);
    expect([await device.state(), problemOf(await device.enroll(unused))]).toEqual([
      'compromised',
      'ticket-expired 401',
    ]);
    const { ticket } = (await device.ticket({ recovery: true })).json;
    expect((await device.enroll(ticket)).status).toBe(200);
  });
});

describe('where the configuration asks for a second person, a recovery ticket', () => {
  test('waits for him, and is good once he said yes', async () => {
    await using strict = await startTestServer({ secondApproval: true });
    const [one, other] = [await strict.token('operator'), await strict.token('operator')];
    const device = await out(strict, one);
    const { json } = await device.ticket({ recovery: true });
    expect(json.needsApproval).toBe(true);
    const key = newKey();
    const waiting = await device.enroll(json.ticket, key);
    expect([waiting.status, waiting.json.code]).toEqual([202, 'approval-waiting']);
    const approve = (token: string) => strict.ask('POST', `/tickets/${json.id}/approve`, { token });
    expect(problemOf(await approve(one))).toBe('forbidden 403');
    expect(problemOf(await approve(await strict.token('auditor')))).toBe('forbidden 403');
    const { items } = await strict.house.ledger.read.listTokens({ limit: 10 });
    const maker = items.find(({ role }) => role === 'operator')?.name ?? '';
    expect(problemOf(await approve(await strict.token('admin', { createdBy: `token:${maker}` })))).toBe(
      'forbidden 403',
    );
    expect((await device.enroll(json.ticket, key)).status).toBe(202);
    expect((await approve(other)).status).toBe(200);
    expect((await device.enroll(json.ticket, key)).status).toBe(200);
  });

  test('that does not exist cannot be approved', async () => {
    expect(problemOf(await server.ask('POST', '/tickets/00/approve', { token: operator }))).toBe(
      'not-found 404',
    );
  });
});

test('what is done to a device needs an operator', async () => {
  const device = await born();
  for (const role of ['auditor', 'factory', 'gate'] as const) {
    const token = await server.token(role);
    for (const what of ['quarantine', 'release', 'retire'])
      expect(problemOf(await server.ask('POST', `/devices/${device.serialNumber}/${what}`, { token }))).toBe(
        'forbidden 403',
      );
  }
  expect(await device.state()).toBe('manufactured');
});
