import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { utf8String } from '../../src/x509/der/values.ts';
import { toPem } from '../../src/x509/pem.ts';
import { attribute, newCsr, newKey } from '../house.ts';
import { inject, problemOf, shareTestServer, startTestServer, type TestServer } from './test-server.ts';

async function newTicket(server: TestServer, serialNumber = 'SN-1', more: object = {}): Promise<string> {
  const token = await server.token('admin');
  const { json, status, text } = await server.ask('POST', '/tickets', {
    token,
    body: { serialNumber, ...more },
  });
  if (status !== 201) throw new Error(text);
  return json.ticket;
}

function enroll(server: TestServer, token: string, csr: Uint8Array, more: object = {}) {
  return server.ask('POST', '/enroll', {
    token,
    body: { csr: Buffer.from(csr).toString('base64'), ...more },
  });
}

describe('POST /enroll', () => {
  test('gives a device its certificate and chain, and says what it did not grant', async () => {
    await using server = await startTestServer();
    const ticket = await newTicket(server);
    const csr = newCsr(newKey(), { subject: [{ type: 'CN', value: 'me' }] });
    const { status, json } = await enroll(server, ticket, csr);
    expect(status).toBe(200);
    expect(json).toMatchObject({ serialNumber: 'SN-1', notGranted: ['subject CN=me'] });
    const leaf = new X509Certificate(json.certificate);
    const issuer = new X509Certificate(json.chain[0]);
    expect(leaf.verify(issuer.publicKey)).toBe(true);
    expect(leaf.serialNumber.toLowerCase().replace(/^0+/, '')).toBe(json.serial.replace(/^0+/, ''));
    expect(json.chain).toHaveLength(1);
  });

  test('takes PEM too, and answers the same pair with the same certificate', async () => {
    await using server = await startTestServer();
    const ticket = await newTicket(server);
    const csr = newCsr();
    const first = await enroll(server, ticket, csr);
    const body = { csr: toPem('CERTIFICATE REQUEST', csr), profile: 'ldevid' };
    const again = await server.ask('POST', '/enroll', { token: ticket, body });
    expect(again.json.certificate).toBe(first.json.certificate);
  });

  test.each<[string, (server: TestServer, ticket: string) => ReturnType<typeof enroll>, string]>([
    [
      'another key',
      async (server, ticket) => {
        await enroll(server, ticket, newCsr());
        return enroll(server, ticket, newCsr());
      },
      'ticket-bound 409',
    ],
    [
      'another profile',
      (server, ticket) => enroll(server, ticket, newCsr(), { profile: 'idevid' }),
      'profile-not-allowed 403:profile',
    ],
    ['no ticket', (server) => enroll(server, '', newCsr()), 'unauthenticated 401'],
    [
      'a token for a ticket',
      async (server) => enroll(server, await server.token('admin'), newCsr()),
      'unauthenticated 401',
    ],
    [
      'an expired ticket',
      (server, ticket) => {
        server.house.clock.pass(3_600_000);
        return enroll(server, ticket, newCsr());
      },
      'ticket-expired 401',
    ],
    [
      "somebody else's CSR",
      (server, ticket) =>
        enroll(server, ticket, newCsr(newKey(), { subject: [{ type: 'serialNumber', value: 'SN-2' }] })),
      'serial-number-mismatch 403:csr',
    ],
    [
      'a CSR that is none',
      (server, ticket) => enroll(server, ticket, Buffer.from('30820000', 'hex')),
      'bad-der 400',
    ],
    [
      'no base64',
      (server, ticket) => server.ask('POST', '/enroll', { token: ticket, body: { csr: '!' } }),
      'bad-base64 400:csr',
    ],
    [
      'PEM of something else',
      (server, ticket) =>
        server.ask('POST', '/enroll', { token: ticket, body: { csr: toPem('CERTIFICATE', newCsr()) } }),
      'bad-pem 400:csr',
    ],
    [
      'a clock that went back',
      (server, ticket) => {
        server.house.clock.pass(-120_000);
        return enroll(server, ticket, newCsr());
      },
      'clock-went-back 503',
    ],
  ])('refuses %s', async (_title, act, problem) => {
    await using server = await startTestServer();
    await server.house.grant('SN-clock');
    expect(problemOf(await act(server, await newTicket(server)))).toBe(problem);
  });

  test('a cloned key is refused', async () => {
    await using server = await startTestServer();
    const csr = newCsr();
    expect((await enroll(server, await newTicket(server, 'SN-1'), csr)).status).toBe(200);
    expect(problemOf(await enroll(server, await newTicket(server, 'SN-2'), csr))).toBe('key-in-use 409:csr');
  });

  test('a full disk is told as such, and the next try gets the certificate that was reserved', async () => {
    let fail = false;
    let writes = 0;
    const { BirthmarkError } = await import('../../src/core/errors.ts');
    await using server = await startTestServer({
      faulty: (ledger) => ({
        read: ledger.read,
        write: (work) => {
          writes += 1;
          if (fail && writes === 2)
            return Promise.reject(new BirthmarkError('ledger-full', 'the disk is full'));
          return ledger.write(work);
        },
      }),
    });
    const ticket = await newTicket(server);
    const csr = newCsr();
    fail = true;
    expect(problemOf(await enroll(server, ticket, csr))).toBe('ledger-full 507');
    fail = false;
    expect((await enroll(server, ticket, csr)).status).toBe(200);
    expect((await server.house.ledger.read.searchCertificates({ limit: 10 })).items).toHaveLength(1);
  });
});

describe('POST /tickets', async () => {
  const shared = await shareTestServer();
  const admin = await shared.token('admin');

  test.each<[string, object, string]>([
    ['no serial number', {}, 'bad-request 400:serialNumber'],
    [
      'a serial number that does not print',
      { serialNumber: 'SN_1' },
      'serial-number-invalid 400:serialNumber',
    ],
    ['an unknown profile', { serialNumber: 'SN-1', profile: 'x' }, 'profile-unknown 400:profile'],
    [
      'a profile that is not for devices',
      { serialNumber: 'SN-1', profile: 'operator' },
      'profile-not-allowed 403:profile',
    ],
    [
      'a time that is over',
      { serialNumber: 'SN-1', expiresInSeconds: 0 },
      'bad-request 400:expiresInSeconds',
    ],
    [
      'more than a year',
      { serialNumber: 'SN-1', expiresInSeconds: 366 * 86_400 + 1 },
      'bad-request 400:expiresInSeconds',
    ],
    ['a time as text', { serialNumber: 'SN-1', expiresInSeconds: '60' }, 'bad-request 400:expiresInSeconds'],
  ])('refuses %s', async (_title, body, problem) => {
    expect(problemOf(await shared.ask('POST', '/tickets', { token: admin, body }))).toBe(problem);
  });

  test('a ticket is shown once, and never listed, logged or audited', async () => {
    await using server = await startTestServer();
    const ticket = await newTicket(server);
    const secret = ticket.slice(-43);
    const token = await server.token('admin');
    for (const path of ['/audit', '/tokens', '/devices', '/incidents'])
      expect((await server.ask('GET', path, { token })).text).not.toContain(secret);
    expect(server.log.join('')).not.toContain(secret);
  });
});

describe('POST /factory/batch', async () => {
  const shared = await shareTestServer();

  const line = (serialNumber: string) => JSON.stringify({ serialNumber, csr: newCsr().toString('base64') });
  const type = 'application/x-ndjson';

  test('answers lines with lines', async () => {
    await using server = await startTestServer();
    const token = await server.token('factory', { serialPattern: 'SN-*', batch: 'B1', count: 2 });
    const body = [line('SN-1'), line('XX-1'), '{', line('SN-2'), line('SN-3')].join('\n');
    const { status, headers, text } = await server.ask('POST', '/factory/batch', { token, body, type });
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/x-ndjson');
    const codes = text
      .trimEnd()
      .split('\n')
      .map((one) => JSON.parse(one).error?.code ?? 'granted');
    expect(codes).toEqual(['granted', 'serial-number-not-allowed', 'bad-json', 'granted', 'token-exhausted']);
  });

  test('a batch that is larger than any other body may be is read', async () => {
    await using server = await startTestServer();
    const token = await server.token('factory');
    const body = Array.from({ length: 300 }, (_, at) => line(`SN-${at}`)).join('\n');
    expect(body.length).toBeGreaterThan(64 * 1024);
    const { text } = await server.ask('POST', '/factory/batch', { token, body, type });
    expect(text.trimEnd().split('\n')).toHaveLength(300);
  });

  test.each<[string, object, string]>([
    ['no body', {}, 'bad-request 400'],
    ['JSON', { body: '{}', type: 'application/json' }, 'unsupported-media-type 415'],
    ['text', { body: '{}', type: 'text/plain' }, 'unsupported-media-type 415'],
  ])('refuses %s', async (_title, asked, problem) => {
    const token = await shared.token('factory');
    expect(problemOf(await shared.ask('POST', '/factory/batch', { token, ...asked }))).toBe(problem);
  });

  test.each([
    ['?profile=nothing', {}, 'profile-unknown 400:profile'],
    ['?profile=server', {}, 'profile-not-allowed 403:profile'],
    ['?profile=ldevid', { profiles: ['idevid'] }, 'profile-not-allowed 403:profile'],
    ['?profil=idevid', {}, 'bad-request 400:profil'],
  ])('refuses %s', async (query, limits, problem) => {
    const token = await shared.token('factory', limits);
    const asked = { token, body: line('SN-1'), type };
    expect(problemOf(await shared.ask('POST', `/factory/batch${query}`, asked))).toBe(problem);
  });
});

describe('secrets', () => {
  test('are in no log line and no answer, whatever goes wrong', async () => {
    await using server = await startTestServer();
    const token = await server.token('admin');
    const ticket = await newTicket(server);
    const password = attribute('1.2.840.113549.1.9.7', utf8String('challenge-secret'));
    await enroll(server, ticket, newCsr(newKey(), { attributes: [password] }));
    await server.ask('GET', `/devices?cursor=${token}`, { token });
    await server.ask('POST', '/enroll', { token: ticket, body: { csr: ticket } });
    await inject(server.remote, 'GET', `/api/v1/${ticket}`, { token });
    server.house.ledger.close();
    const broken = await server.ask('GET', '/devices', { token });
    const enrolling = await enroll(server, ticket, newCsr());
    expect(server.log.length).toBeGreaterThan(0);
    const told = server.log.join('') + broken.text + enrolling.text;
    for (const secret of [token.slice(-43), ticket.slice(-43), 'challenge-secret'])
      expect(told).not.toContain(secret);
  });
});

test('a clock that went back stops what is made, and keeps nobody from looking', async () => {
  await using server = await startTestServer();
  const token = await server.token('admin');
  await server.house.grant('SN-1');
  server.house.clock.pass(-120_000);
  for (const path of ['/devices', '/certificates', '/audit'])
    expect((await server.ask('GET', path, { token })).status).toBe(200);
  for (const [path, body] of [
    ['/tickets', { serialNumber: 'SN-2' }],
    ['/tokens', { role: 'auditor', name: 'a' }],
    ['/certificates', { profile: 'server', csr: newCsr().toString('base64'), dns: ['a.example'] }],
  ] as const)
    expect(problemOf(await server.ask('POST', path, { token, body }))).toBe('clock-went-back 503');
});
