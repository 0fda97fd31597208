import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../src/core/bytes.ts';
import { problemOf, shareTestServer, startTestServer, type TestServer } from '../test-server.ts';
import { type FeedEvent, follow } from './follow.ts';

const server = await shareTestServer();
let devices = 0;

async function grant(on: TestServer = server) {
  devices += 1;
  return on.house.grant(`FEED-${devices}`);
}

async function position(on: TestServer = server): Promise<string> {
  const { read } = on.house.ledger;
  return `${await read.statusEpoch()}.${await read.lastStatusChange()}`;
}

function act(serial: Uint8Array, word: 'revoke' | 'hold' | 'release', on: TestServer = server) {
  const reason = word === 'revoke' ? ({ reason: 'superseded' } as const) : {};
  return on.house.revoker({ by: { kind: 'serial', serial }, act: word, ...reason }, 'operator:test');
}

const serials = (events: readonly FeedEvent[]) => events.map(({ data }) => [data.serial, data.status]);

describe('a reader', () => {
  test('without a place to begin from hears where the ledger stands, and then what changes', async () => {
    const { serial } = await grant();
    const before = await position();
    const reader = await follow(server);
    expect([reader.status, reader.headers['content-type']]).toEqual([200, 'text/event-stream']);
    const [at] = await reader.until('position', 1);
    expect(at).toMatchObject({ id: before, data: { at: expect.stringMatching(/Z$/) } });
    await act(serial, 'revoke');
    const [told] = await reader.until('status', 1);
    const authority = server.house.authorities.get('idevid');
    expect(told?.id).toBe(await position());
    expect(told?.data).toMatchObject({
      sequence: Number(told?.id?.split('.')[1]),
      authority: 'idevid',
      issuerKeyId: toHex(authority?.keyId ?? new Uint8Array()),
      serial: toHex(serial),
      keyHash: toHex((await server.house.ledger.read.findBySerial(serial))?.keyHash ?? new Uint8Array()),
      status: 'revoked',
      reason: 'superseded',
      revokedAt: expect.any(String),
      notAfter: expect.any(String),
    });
    reader.leave();
  });

  test('gets every change from its place on, in order, none lost and none twice, however often it comes back', async () => {
    const since = await position();
    const all = await Promise.all([grant(), grant(), grant()]);
    const expected: [string, string][] = [];
    for (const { serial } of all) {
      for (const [word, status] of [
        ['hold', 'held'],
        ['release', 'good'],
        ['revoke', 'revoked'],
      ] as const) {
        await act(serial, word);
        expected.push([toHex(serial), status]);
      }
    }
    const got: FeedEvent[] = [];
    let id = since;
    while (got.length < expected.length) {
      const reader = await follow(server, since, { 'last-event-id': id });
      const events = (await reader.until('status', 1)).slice(0, 2);
      reader.leave();
      got.push(...events);
      id = got.at(-1)?.id ?? id;
    }
    expect(serials(got)).toEqual(expected);
    expect(got.map(({ data }) => data.sequence)).toEqual(
      got.map((_event, at) => (got[0]?.data.sequence ?? Number.NaN) + at),
    );
  });

  test('far behind is told page by page, all of it', async () => {
    await using own = await startTestServer();
    const since = await position(own);
    const { serial } = await grant(own);
    for (let at = 0; at < 260; at += 1) await act(serial, at % 2 === 0 ? 'hold' : 'release', own);
    const reader = await follow(own, since);
    const events = await reader.until('status', 260);
    expect(events.map(({ data }) => data.sequence)).toEqual(
      Array.from({ length: 260 }, (_none, at) => at + 1),
    );
    reader.leave();
  });

  test('that has heard all is told so again, with the time', async () => {
    const reader = await follow(server);
    const [first] = await reader.until('position', 1);
    server.house.clock.pass(5000);
    const [, second] = await reader.until('position', 2);
    expect(Date.parse(second?.data.at ?? '') - Date.parse(first?.data.at ?? '')).toBe(5000);
    reader.leave();
  });
});

describe('a place that this ledger does not have', () => {
  test.each([
    ['of another epoch', async () => `${'0'.repeat(32)}.0`, 'epoch'],
    [
      'ahead of it',
      async () => (await position()).replace(/\.(\d+)$/, (_all, n) => `.${Number(n) + 1}`),
      'ahead',
    ],
  ])('%s is answered with a reset that has no id, and the end', async (_title, since, why) => {
    const reader = await follow(server, await since());
    await reader.untilEnded();
    expect(reader.events).toMatchObject([{ id: undefined, event: 'reset', data: { why } }]);
    expect(`${reader.events[0]?.data.epoch}.${reader.events[0]?.data.sequence}`).toBe(await position());
  });

  test.each(['', 'x', '1', 'epoch.', 'epoch.-1', 'epoch.01', 'a b.1', '.1'])(
    '%j is none at all',
    async (since) => {
      const token = await server.token('gate');
      const answer = await server.ask('GET', `/status-feed?since=${encodeURIComponent(since)}`, { token });
      expect(problemOf(answer)).toBe('bad-request 400:since');
    },
  );

  test('in Last-Event-ID is looked at before the one in the address', async () => {
    const token = await server.token('gate');
    const headers = { 'last-event-id': 'nonsense' };
    const answer = await server.ask('GET', `/status-feed?since=${await position()}`, { token, headers });
    expect(problemOf(answer)).toBe('bad-request 400:Last-Event-ID');
  });
});

test('a reader that takes nothing is dropped, and goes on from where it was', async () => {
  await using own = await startTestServer({ status: { slowMs: 300 } });
  const since = await position(own);
  const { serial } = await grant(own);
  const slow = await follow(own, since);
  slow.response.pause();
  slow.response.socket.pause();
  // Far more than the sockets of both sides hold.
  for (let at = 0; at < 20; at += 1) await flood(own, serial, 1000);
  await until(() => own.log.some((line) => line.includes('too slow')));
  expect(own.log.some((line) => line.includes('too slow'))).toBe(true);
  slow.response.socket.resume();
  slow.response.resume();
  await slow.untilEnded();
  const heard = slow.events.filter(({ event }) => event === 'status');
  expect(heard.length).toBeLessThan(20_000);
  const again = await follow(own, heard.at(-1)?.id ?? since);
  const rest = await again.until('status', 20_000 - heard.length);
  expect([...heard, ...rest].map(({ data }) => data.sequence)).toEqual(
    Array.from({ length: 20_000 }, (_none, at) => at + 1),
  );
  again.leave();
});

/** Holds and releases one certificate many times, in one transaction. */
async function flood(on: TestServer, serial: Uint8Array, times: number): Promise<void> {
  const record = await on.house.ledger.read.findBySerial(serial);
  if (!record) throw new Error('there is no such certificate');
  const { id, authority, shard, notAfter } = record;
  const at = on.house.clock.now();
  const hold = { held: true, revokedAt: at, discoveredAt: at, decidedAt: at, recordedAt: at, by: 'test' };
  await on.house.ledger.write(async (tx) => {
    for (let count = 0; count < times; count += 2) {
      await tx.putRevocations([{ id, serial, authority, shard, notAfter, ...hold }]);
      await tx.releaseHolds([id], at);
    }
  });
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo() && performance.now() < deadline) await sleep(10);
}

describe('the server', () => {
  test('has so many places and no more, and gives those that were left to others', async () => {
    await using own = await startTestServer({ status: { readers: 2 } });
    const readers = [await follow(own), await follow(own)];
    expect((await follow(own)).status).toBe(503);
    readers[0]?.leave();
    let { status } = await follow(own);
    for (let tries = 0; status !== 200 && tries < 200; tries += 1) {
      await sleep(10);
      ({ status } = await follow(own));
    }
    expect(status).toBe(200);
  });

  test('ends what it tells when it stops', async () => {
    const own = await startTestServer();
    const reader = await follow(own);
    await reader.until('position', 1);
    const begun = performance.now();
    await own[Symbol.asyncDispose]();
    await reader.untilEnded();
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test('does not go on telling one whose token was revoked', async () => {
    await using own = await startTestServer();
    const token = await own.token('gate');
    const address = await own.remote.listen({ host: '127.0.0.1', port: 0 });
    expect(address).toMatch(/^https/);
    const { stream, status } = await openRemote(own, token);
    expect(status).toBe(200);
    let ended = false;
    stream.on('close', () => {
      ended = true;
    });
    stream.resume();
    await own.house.ledger.write((tx) => tx.revokeToken('gate-1', own.house.clock.now()));
    await sleep(50);
    expect(ended).toBe(false);
    own.house.clock.pass(10_000);
    await until(() => ended);
    expect(ended).toBe(true);
  });
});

async function openRemote(on: TestServer, token: string) {
  const response = await on.remote.inject({
    method: 'GET',
    url: '/api/v1/status-feed',
    headers: { authorization: `Bearer ${token}` },
    payloadAsStream: true,
  });
  return { stream: response.stream(), status: response.statusCode };
}
