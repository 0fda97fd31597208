import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { problemOf, shareTestServer, startTestServer, type TestServer } from './test-server.ts';

const server = await shareTestServer();
const token = await server.token('operator');

function ask(path: string, body?: object, on: TestServer = server) {
  return on.ask('POST', path, { token, ...(body && { body }) });
}

async function grant(serialNumber: string): Promise<string> {
  return toHex((await server.house.grant(serialNumber)).serial);
}

async function shown(serial: string) {
  return (await server.ask('GET', `/certificates/${serial}`, { token })).json;
}

describe('POST /revocations', () => {
  test('revokes, and lists and single certificates show it', async () => {
    const [thief, neighbour] = [await grant('RV-1'), await grant('RV-2')];
    const why = { reason: 'affiliationChanged', invalidityDate: '2020-02-03T04:05:06Z' };
    const { status, json } = await ask('/revocations', { by: { serial: thief }, ...why });
    expect([status, json.changed, json.serials]).toEqual([200, 1, [thief]]);
    expect(await shown(thief)).toMatchObject({
      status: 'revoked',
      revocation: { reason: 'affiliationChanged', invalidityDate: '2020-02-03T04:05:06.000Z' },
    });
    const other = await shown(neighbour);
    expect([other.status, other.revocation]).toEqual(['good', undefined]);
    const { json: page } = await server.ask('GET', '/certificates?query=RV-', { token });
    expect(page.items.map((item: { status: string }) => item.status)).toEqual(['good', 'revoked']);
    const { json: device } = await server.ask('GET', '/devices/RV-1', { token });
    expect(device.certificates).toMatchObject([{ status: 'revoked' }]);
  });

  test('with dryRun tells what it would do, and does nothing', async () => {
    const serial = await grant('RV-3');
    const { json } = await ask('/revocations', { by: { device: 'RV-3' }, dryRun: true });
    expect(json).toMatchObject({ changed: 1, profiles: { idevid: 1 }, serials: [serial] });
    expect((await shown(serial)).status).toBe('good');
  });

  test('of an authority goes on from its cursor until there are no more', async () => {
    await using own = await startTestServer();
    const ownToken = await own.token('admin');
    for (let at = 0; at < 3; at += 1) await own.house.grant(`SN-${at}`);
    const body = { by: { authority: 'idevid' }, limit: 1 };
    const ask = async (cursor?: string) =>
      (
        await own.ask('POST', '/revocations', {
          token: ownToken,
          body: { ...body, ...(cursor && { cursor }) },
        })
      ).json;
    let answer = await ask();
    for (let at = 0; at < 3; at += 1) {
      expect(answer).toMatchObject({ changed: 1, published: false });
      answer = await ask(answer.cursor);
    }
    expect(answer).toMatchObject({ changed: 0, published: true });
    expect(answer.cursor).toBeUndefined();
    const past = await own.ask('POST', '/revocations', { token: ownToken, body: { ...body, cursor: '99' } });
    expect(past.json).toMatchObject({ changed: 0, unchanged: 0 });
  });

  test.each([
    ['nothing selected', { by: {} }, 'bad-request 400:by'],
    ['two selections', { by: { serial: '01', batch: 'B' } }, 'bad-request 400:by'],
    ['a namespace of a serial', { by: { serial: '01', namespace: 'own' } }, 'bad-request 400:by.namespace'],
    [
      'since without a lineage',
      { by: { serial: '01', since: '2026-01-01T00:00:00Z' } },
      'bad-request 400:by.since',
    ],
    ['a key that is no hash', { by: { spki: '00' } }, 'bad-request 400:by.spki'],
    ['certificateHold', { by: { serial: '01' }, reason: 'certificateHold' }, 'reason-invalid 400:reason'],
    ['removeFromCRL', { by: { serial: '01' }, reason: 'removeFromCRL' }, 'reason-invalid 400:reason'],
    ['a number', { by: { serial: '01' }, reason: '7' }, 'reason-invalid 400:reason'],
    [
      'a hold with a reason',
      { by: { serial: '01' }, act: 'hold', reason: 'superseded' },
      'reason-invalid 400:reason',
    ],
    ['an unknown certificate', { by: { serial: '01' } }, 'not-found 404'],
    ['an unknown device', { by: { device: 'RV-0' } }, 'device-unknown 404'],
  ])('refuses %s', async (_title, body, problem) => {
    expect(problemOf(await ask('/revocations', body))).toBe(problem);
  });
});

test('one certificate is held, released, revoked, and then not released any more', async () => {
  const serial = await grant('RV-9');
  for (const [word, status] of [
    ['hold', 'held'],
    ['unhold', 'good'],
    ['revoke', 'revoked'],
  ]) {
    expect((await ask(`/certificates/${serial}/${word}`)).json).toMatchObject({ changed: 1 });
    expect((await shown(serial)).status).toBe(status);
  }
  expect(problemOf(await ask(`/certificates/${serial}/unhold`))).toBe('certificate-revoked 403');
  expect((await ask(`/certificates/${serial}/revoke`, { reason: 'superseded' })).json).toMatchObject({
    changed: 0,
    unchanged: 1,
  });
});
