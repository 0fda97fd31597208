import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { newCsr, newKey } from '../house.ts';
import { inject, problemOf, shareTestServer, startTestServer, type TestServer } from './test-server.ts';

/** Follows a list to its end. */
async function follow(server: TestServer, path: string, token: string): Promise<object[]> {
  const items: object[] = [];
  let cursor = '';
  for (let pages = 0; pages < 100; pages += 1) {
    const { json } = await server.ask('GET', `${path}${cursor}`, { token });
    items.push(...json.items);
    if (json.cursor === undefined) return items;
    cursor = `&cursor=${encodeURIComponent(json.cursor)}`;
  }
  throw new Error('the list has no end');
}

describe('lists', async () => {
  const server = await shareTestServer();
  const admin = await server.token('admin');
  for (let at = 0; at < 7; at += 1)
    await server.house.grant(`SN-${at}`, { model: at % 2 ? 'odd' : 'even', batch: 'B1' });
  await server.house.grant('SN-3', { profile: 'ldevid' });
  await server.house.ask('SN-9', { key: await clone(server) });

  test.each([1, 2, 3, 1000])('in pages of %i are the same', async (limit) => {
    for (const [path, length] of [
      ['/devices', 8],
      ['/certificates', 9],
      ['/audit', 10],
      ['/incidents', 1],
      ['/tokens', 1],
    ] as const) {
      expect(await follow(server, `${path}?limit=${limit}`, admin)).toHaveLength(length);
    }
  });

  test.each([
    ['/devices?query=SN-3', 1],
    ['/devices?query=odd', 3],
    ['/devices?query=B1', 7],
    ['/devices?state=enrolled', 1],
    ['/devices?namespace=own', 8],
    ['/devices?namespace=own&query=nobody', 0],
    ['/certificates?profile=ldevid', 1],
    ['/certificates?query=SN-3', 2],
  ])('%s finds %i', async (path, found) => {
    expect((await server.ask('GET', path, { token: admin })).json.items).toHaveLength(found);
  });

  test('a device is shown with its certificates, and a certificate by its serial number in any writing', async () => {
    const { json: device } = await server.ask('GET', '/devices/SN-3', { token: admin });
    expect(device.certificates.map(({ profile }: { profile: string }) => profile)).toEqual([
      'idevid',
      'ldevid',
    ]);
    const { serial } = device.certificates[0];
    for (const writing of [
      serial,
      serial.toUpperCase(),
      serial.replace(/^0/, ''),
      serial.replace(/..(?=.)/g, '$&:'),
    ]) {
      const { json } = await server.ask('GET', `/certificates/${encodeURIComponent(writing)}`, {
        token: admin,
      });
      expect(json.serial).toBe(serial);
      expect(new X509Certificate(json.certificate).verify(new X509Certificate(json.chain[0]).publicKey)).toBe(
        true,
      );
    }
  });

  test.each([
    ['/devices/SN-404', 'device-unknown 404'],
    ['/devices?namespace=acme', 'not-found 404:namespace'],
    ['/devices?namespace=No%20label!', 'bad-request 400:namespace'],
    ['/devices/SN-3?namespace=acme', 'device-unknown 404'],
    ['/certificates/00ff', 'not-found 404'],
    ['/certificates/xyz', 'bad-request 400:serial'],
    [`/certificates/${'f'.repeat(65)}`, 'bad-request 400:serial'],
  ])('%s: %s', async (path, problem) => {
    expect(problemOf(await server.ask('GET', path, { token: admin }))).toBe(problem);
  });

  test('HEAD is GET without a body', async () => {
    const { status, text, headers } = await server.ask('HEAD', '/devices', { token: admin });
    expect([status, text]).toEqual([200, '']);
    expect(Number(headers['content-length'])).toBeGreaterThan(0);
  });

  test('facts keep their types', async () => {
    const created = await server.ask('POST', '/tokens', {
      token: admin,
      body: { role: 'auditor', name: '12345' },
    });
    expect(created.status).toBe(201);
    const { json } = await server.ask('GET', '/audit?limit=1000', { token: admin });
    expect(json.items.at(-1)).toMatchObject({
      subject: 'token:12345',
      facts: { role: 'auditor', expiresAt: expect.any(Number) },
    });
    await server.ask('DELETE', '/tokens/12345', { token: admin });
  });
});

async function clone(server: TestServer) {
  const key = newKey();
  await server.house.grant('SN-8', { key });
  return key;
}

describe('a reservation without a signature', () => {
  test('is no certificate to anybody who asks', async () => {
    const { BirthmarkError } = await import('../../src/core/errors.ts');
    let writes = 0;
    await using server = await startTestServer({
      faulty: (ledger) => ({
        read: ledger.read,
        write: (work) => {
          writes += 1;
          return writes === 2
            ? Promise.reject(new BirthmarkError('ledger-full', 'full'))
            : ledger.write(work);
        },
      }),
    });
    const token = await server.token('admin');
    await server.house.ask('SN-1');
    const [left] = await server.house.ledger.read.findReserved(10);
    const serial = Buffer.from(left?.serial ?? []).toString('hex');
    expect(serial).not.toBe('');
    expect(problemOf(await server.ask('GET', `/certificates/${serial}`, { token }))).toBe('not-found 404');
    expect((await server.ask('GET', '/devices/SN-1', { token })).json.certificates).toEqual([]);
    expect((await server.ask('GET', '/certificates', { token })).json.items).toEqual([]);
  });
});

describe('allowing a rebirth', () => {
  test('allows one, and is audited', async () => {
    await using server = await startTestServer();
    const token = await server.token('operator');
    await server.house.grant('SN/1?');
    const path = `/devices/${encodeURIComponent('SN/1?')}`;
    const { json } = await server.ask('POST', `${path}/allow-rebirth`, { token });
    expect(json).toMatchObject({ serialNumber: 'SN/1?', rebirthAllowed: true });
    expect((await server.ask('GET', path, { token })).json.rebirthAllowed).toBe(true);
    await server.house.grant('SN/1?');
    expect((await server.ask('GET', path, { token })).json.rebirthAllowed).toBe(false);
    const { items } = await server.house.ledger.read.listAudit({ limit: 10 });
    expect(items[1]).toMatchObject({
      actor: 'token:operator-1',
      action: 'device.allow-rebirth',
      subject: 'device:own/SN/1?',
    });
  });

  test('of a device that nobody knows is refused', async () => {
    await using server = await startTestServer();
    const token = await server.token('operator');
    expect(problemOf(await server.ask('POST', '/devices/SN-1/allow-rebirth', { token }))).toBe(
      'device-unknown 404',
    );
  });
});

describe('tokens', async () => {
  const shared = await shareTestServer();
  const admin = await shared.token('admin');

  test('are made, used, listed without their secret, and revoked', async () => {
    await using server = await startTestServer();
    const admin = await server.token('admin');
    const body = {
      role: 'factory',
      name: 'line-7',
      profiles: ['idevid'],
      serialPattern: 'SN-*',
      batch: 'B1',
      count: 3,
      expiresInSeconds: 60,
    };
    const { status, json: made } = await server.ask('POST', '/tokens', { token: admin, body });
    expect(status).toBe(201);
    expect(made).toMatchObject({ name: 'line-7', role: 'factory', profiles: ['idevid'], count: 3, used: 0 });
    const list = await server.ask('GET', '/tokens', { token: admin });
    expect(list.text).not.toContain(made.token.slice(-43));
    expect(list.text).not.toMatch(/secretHash|"id"/);
    const asked = { token: made.token, body: 'x', type: 'application/x-ndjson' };
    expect((await server.ask('POST', '/factory/batch', asked)).status).toBe(200);
    expect((await server.ask('DELETE', '/tokens/line-7', { token: admin })).status).toBe(204);
    expect((await server.ask('POST', '/factory/batch', asked)).status).toBe(401);
    expect(problemOf(await server.ask('DELETE', '/tokens/line-7', { token: admin }))).toBe('not-found 404');
    // A name is free again when its token was revoked.
    expect((await server.ask('POST', '/tokens', { token: admin, body })).status).toBe(201);
    expect(server.log.join('')).not.toContain(made.token.slice(-43));
  });

  test.each<[string, object, string]>([
    ['a name that is taken', { role: 'auditor', name: 'admin-1' }, 'already-exists 409'],
    ['an unknown role', { role: 'root', name: 'a' }, 'bad-request 400:role'],
    ['a name with a space', { role: 'auditor', name: 'a b' }, 'bad-request 400:name'],
    ['a name with a line feed', { role: 'auditor', name: 'a\n' }, 'bad-request 400:name'],
    ['an empty name', { role: 'auditor', name: '' }, 'bad-request 400:name'],
    ['a name of 65 characters', { role: 'auditor', name: 'a'.repeat(65) }, 'bad-request 400:name'],
    ['a count of an auditor', { role: 'auditor', name: 'a', count: 1 }, 'bad-request 400:count'],
    [
      'profiles of an operator',
      { role: 'operator', name: 'a', profiles: ['idevid'] },
      'bad-request 400:profiles',
    ],
    ['no profile at all', { role: 'factory', name: 'a', profiles: [] }, 'bad-request 400:profiles'],
    [
      'a profile that is unknown',
      { role: 'factory', name: 'a', profiles: ['x'] },
      'profile-unknown 400:profile',
    ],
    [
      'a profile that is not for devices',
      { role: 'factory', name: 'a', profiles: ['idevid', 'operator'] },
      'profile-not-allowed 403:profiles',
    ],
    ['a count of nothing', { role: 'factory', name: 'a', count: 0 }, 'bad-request 400:count'],
    [
      'a count that no ledger can hold',
      { role: 'factory', name: 'a', count: 1e300 },
      'bad-request 400:count',
    ],
    [
      'an end in the past',
      { role: 'factory', name: 'a', expiresInSeconds: -1 },
      'bad-request 400:expiresInSeconds',
    ],
    [
      'an end after ten years',
      { role: 'factory', name: 'a', expiresInSeconds: 4000 * 86_400 },
      'bad-request 400:expiresInSeconds',
    ],
  ])('with %s are refused', async (_title, body, problem) => {
    expect(problemOf(await shared.ask('POST', '/tokens', { token: admin, body }))).toBe(problem);
    expect((await shared.house.ledger.read.listTokens({ limit: 10 })).items).toHaveLength(1);
  });
});

describe('POST /certificates', async () => {
  const shared = await shareTestServer();
  const admin = await shared.token('admin');

  const csr = () => newCsr().toString('base64');

  test('issues for a device and for a server', async () => {
    await using server = await startTestServer();
    const token = await server.token('admin');
    const hw = { hwType: '1.2.3', hwSerialNum: 'AA==' };
    const device = await server.ask('POST', '/certificates', {
      token,
      body: { profile: 'idevid', csr: csr(), serialNumber: 'SN-1', ...hw },
    });
    const host = await server.ask('POST', '/certificates', {
      token,
      body: { profile: 'server', csr: csr(), dns: ['a.example'], ip: ['::1'] },
    });
    expect([device.status, host.status]).toEqual([201, 201]);
    expect(new X509Certificate(host.json.certificate).subjectAltName).toContain('a.example');
    const { json } = await server.ask('GET', '/certificates', { token });
    expect(json.items.map(({ holder }: { holder: string }) => holder)).toEqual(['a.example', 'SN-1']);
  });

  test.each<[string, () => object, string]>([
    ['an unknown profile', () => ({ profile: 'x', csr: csr() }), 'profile-unknown 400:profile'],
    [
      'an operator from afar',
      () => ({ profile: 'operator', csr: csr(), name: 'anna', role: 'admin' }),
      'profile-not-allowed 403:profile',
    ],
    [
      'a device without a serial number',
      () => ({ profile: 'idevid', csr: csr() }),
      'bad-request 400:serialNumber',
    ],
    ['a server without a name', () => ({ profile: 'server', csr: csr() }), 'name-invalid 400:dns'],
    [
      'a server with a wrong name',
      () => ({ profile: 'server', csr: csr(), dns: ['a_b'] }),
      'name-invalid 400:dns',
    ],
    [
      'a server with a wrong address',
      () => ({ profile: 'server', csr: csr(), ip: ['1.2.3'] }),
      'name-invalid 400:ip',
    ],
    [
      'half a hardware',
      () => ({ profile: 'idevid', csr: csr(), serialNumber: 'SN-1', hwType: '1.2.3' }),
      'hardware-name-invalid 400:hwSerialNum',
    ],
    [
      'a DNS name for a device, which gets none',
      () => ({ profile: 'idevid', csr: csr(), serialNumber: 'SN-1', dns: ['a.example'] }),
      'bad-request 400:dns',
    ],
    [
      'a role for a device, which has none',
      () => ({ profile: 'ldevid', csr: csr(), serialNumber: 'SN-1', role: 'admin' }),
      'bad-request 400:role',
    ],
    [
      'a serial number for a server, which has none',
      () => ({ profile: 'server', csr: csr(), dns: ['a.example'], serialNumber: 'SN-1' }),
      'bad-request 400:serialNumber',
    ],
    [
      'a role for a server, which has none',
      () => ({ profile: 'server', csr: csr(), dns: ['a.example'], role: 'admin' }),
      'bad-request 400:role',
    ],
  ])('refuses %s', async (_title, body, problem) => {
    expect(problemOf(await shared.ask('POST', '/certificates', { token: admin, body: body() }))).toBe(
      problem,
    );
    expect((await shared.house.ledger.read.searchCertificates({ limit: 10 })).items).toEqual([]);
  });

  test("issues for operators on the machine's own socket only", async () => {
    await using server = await startTestServer();
    const body = { profile: 'operator', csr: csr(), name: 'anna', role: 'operator' };
    const { status, json } = await inject(server.local, 'POST', '/api/v1/certificates', { body });
    expect(status).toBe(201);
    expect(await server.house.ledger.read.findOperator(Buffer.from(json.serial, 'hex'))).toMatchObject({
      role: 'operator',
    });
  });

  test('a name that steers terminals is none', async () => {
    const body = { profile: 'server', csr: csr(), name: '\u001b[2J', dns: ['a.example'] };
    expect(problemOf(await shared.ask('POST', '/certificates', { token: admin, body }))).toBe(
      'bad-request 400:name',
    );
  });

  test('an operator needs a name', async () => {
    await using server = await startTestServer();
    const answer = await inject(server.local, 'POST', '/api/v1/certificates', {
      body: { profile: 'operator', csr: csr() },
    });
    expect(problemOf(answer)).toBe('bad-request 400:name');
  });
});
