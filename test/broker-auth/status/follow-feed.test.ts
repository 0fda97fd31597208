import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import { type Following, followFeed } from '../../../src/broker-auth/index.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { codeOfAsync } from '../../house.ts';
import { startTestServer, type TestServer } from '../../server/test-server.ts';
import { rootOf } from './snapshots.ts';

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('it did not come');
    await sleep(5);
  }
}

interface Gate {
  readonly following: Following;
  readonly told: string[];
  readonly faults: unknown[];
  /** Breaks every connection. */
  cut(): void;
}

/** A gate behind a line that can be cut. */
async function gateOf(server: TestServer, clock = server.house.clock.now): Promise<Gate> {
  await server.signSnapshots();
  const address = await server.local.listen({ host: '127.0.0.1', port: 0 });
  const sockets = new Set<Socket>();
  const { connect } = await import('node:net');
  const line = createServer((near) => {
    const far = connect(Number(new URL(address).port), '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const place = line.address();
  const port = typeof place === 'object' && place !== null ? place.port : 0;
  const told: string[] = [];
  const faults: unknown[] = [];
  const following = followFeed({
    url: `http://127.0.0.1:${port}`,
    token: () => 'none',
    ca: '',
    trust: openTrust({ anchors: [rootOf(server)] }),
    clock,
    steady: createSteadyClock(clock, clock),
    random: server.house.random,
    onTable: () => told.push('table'),
    onChange: ({ sequence, status }) => told.push(`${sequence} ${status}`),
    onFault: (error) => faults.push(error),
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  closers.push(
    () => following.stop(),
    () => cut(),
    () => line.close(),
  );
  await until(() => following.table !== undefined);
  return { following, told, faults, cut };
}

async function certificateOf({ house }: TestServer, name: string) {
  const { serial } = await house.grant(name);
  const record = await house.ledger.read.findBySerial(serial);
  const issuerKeyId = house.authorities.get('idevid')?.keyId ?? new Uint8Array();
  return { issuerKeyId, serial, keyHash: record?.keyHash ?? new Uint8Array() };
}

function act({ house }: TestServer, serial: Uint8Array, word: 'revoke' | 'hold' | 'release') {
  return house.revoker({ by: { kind: 'serial', serial }, act: word }, 'operator:test');
}

describe('a follower', () => {
  test('knows what was there before, and hears of what comes', async () => {
    await using server = await startTestServer();
    const [before, after] = [await certificateOf(server, 'GATE-1'), await certificateOf(server, 'GATE-2')];
    await act(server, before.serial, 'revoke');
    const { following, told } = await gateOf(server);
    expect(following.table?.statusOf(before).status).toBe('revoked');
    expect(following.table?.statusOf(after).status).toBe('good');
    await act(server, after.serial, 'hold');
    await until(() => following.table?.statusOf(after).status === 'held');
    expect(told).toEqual(['table', '2 held']);
    await following.stop();
  });

  test('hears each change once and in order, however often its line is cut', async () => {
    await using server = await startTestServer();
    const { serial } = await certificateOf(server, 'GATE-1');
    const { following, told, cut } = await gateOf(server);
    for (let at = 0; at < 12; at += 1) {
      await act(server, serial, at % 2 === 0 ? 'hold' : 'release');
      if (at % 3 === 0) cut();
    }
    await until(() => following.table?.position.sequence === 12);
    expect(told).toEqual([
      'table',
      ...Array.from({ length: 12 }, (_none, at) => `${at + 1} ${at % 2 === 0 ? 'held' : 'good'}`),
    ]);
    await following.stop();
  });

  test('gets older while it hears nothing, and fresher when it is told that there was nothing', async () => {
    await using server = await startTestServer();
    const { following } = await gateOf(server);
    const { asOf = 0 } = following.table ?? {};
    server.house.clock.pass(60_000);
    await until(() => (following.table?.asOf ?? 0) === asOf + 60_000);
    await following.stop();
    server.house.clock.pass(60_000);
    await sleep(50);
    expect(following.table?.asOf).toBe(asOf + 60_000);
  });

  test('is never fresher than its own clock says, however far ahead the clock over there is', async () => {
    await using server = await startTestServer();
    const now = server.house.clock.now();
    let own = now;
    const { following } = await gateOf(server, () => own);
    own = now + 1000;
    server.house.clock.pass(3_600_000);
    await until(() => (following.table?.asOf ?? 0) > now);
    expect(following.table?.asOf).toBe(now + 1000);
    await following.stop();
  });

  test('begins afresh in a new epoch, and keeps what it knew until then', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-test-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'ledger.db');
    await using server = await startTestServer({ path });
    const certificate = await certificateOf(server, 'GATE-1');
    await act(server, certificate.serial, 'revoke');
    const { following, told } = await gateOf(server);
    const first = following.table;
    // What a restore does.
    const db = new Database(path);
    db.prepare("UPDATE status_epoch SET epoch = 'another'").run();
    db.close();
    await until(() => following.table?.position.epoch === 'another');
    expect(following.table).not.toBe(first);
    expect(first?.statusOf(certificate).status).toBe('revoked');
    expect(following.table?.statusOf(certificate).status).toBe('revoked');
    expect(told).toEqual(['table', 'table']);
    await following.stop();
  });
});

test('the token is not sent in the clear to another machine', async () => {
  await using server = await startTestServer();
  const follow = (url: string) =>
    codeOfAsync(
      Promise.resolve().then(() =>
        followFeed({
          url,
          token: () => 'secret',
          ca: '',
          trust: openTrust({ anchors: [rootOf(server)] }),
          clock: server.house.clock.now,
          steady: createSteadyClock(server.house.clock.now, server.house.clock.now),
          random: server.house.random,
          onFault: () => undefined,
        }).stop(),
      ),
    );
  expect(await follow('http://pki.example.com:8443')).toBe('config-invalid');
  expect(await follow('http://127.0.0.1:1')).toBe('accepted');
});
