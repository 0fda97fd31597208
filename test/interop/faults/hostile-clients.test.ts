import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { type Client, codeOf, createClient, readLines } from './client.ts';
import { makeDevices, newCsr, toLines } from './devices.ts';
import { makeFolder, makeServedHome, makeTicket, makeToken } from './home.ts';
import { countIssued, faultOf, listIssued, readLedger } from './ledger-facts.ts';
import { type Serving, serve, until } from './serving.ts';

const MIB = 1024 * 1024;
const HALF_OPEN = 1000;
/** Beyond this a process keeps what it should let go. */
const GROWTH = 160 * MIB;
const folder = makeFolder();
let home: Home;
let serving: Serving;
let client: Client;
let token = '';
/** Opened first, and to be closed by the server before all is over. */
let halfOpen: readonly Socket[] = [];

beforeAll(async () => {
  home = await makeServedHome(folder);
  writeFileSync(
    home.config,
    readFileSync(home.config, 'utf8').replace(/^bodySeconds = .*/m, 'bodySeconds = 2'),
  );
  serving = await serve(home);
  client = createClient(home, serving);
  token = await makeToken(home);
});
afterAll(async () => {
  for (const socket of halfOpen) socket.destroy();
  client.close();
  await serving.end('SIGTERM');
  folder.remove();
});

const portOf = (url: string) => Number(new URL(url).port);
/** Closed in whatever way: `once` would take a reset for a failure. */
const closed = (socket: Socket) =>
  new Promise<void>((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
const ignore = () => undefined;

async function openPlain(url: string, first: string | Uint8Array): Promise<Socket> {
  const socket = connect(portOf(url), '127.0.0.1').on('error', ignore);
  await once(socket, 'connect');
  if (first.length > 0) socket.write(first);
  return socket;
}

async function openTls(): Promise<TLSSocket> {
  const ca = readFileSync(home.pem('root'));
  const socket = connectTls({ port: portOf(serving.tlsUrl), host: '127.0.0.1', servername: 'localhost', ca });
  socket.on('error', ignore);
  await once(socket, 'secureConnect');
  return socket;
}

function collect(socket: Socket): () => string {
  let text = '';
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1');
  });
  return () => text;
}

function residentOctets(): number {
  const [, kib = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${serving.pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** Watches how much the process grows while something is done to it. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = residentOctets();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, residentOctets());
  }, 20);
  await work();
  clearInterval(timer);
  return most - before;
}

const head = (path: string, ...lines: string[]) =>
  [`POST ${path} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n');
const BATCH = '/api/v1/factory/batch';
const batchHead = (...lines: string[]) =>
  head(BATCH, `Authorization: Bearer ${token}`, 'Content-Type: application/x-ndjson', ...lines);

describe('many connections that say nothing whole', () => {
  test('do not keep others from being served', async () => {
    halfOpen = await Promise.all(
      Array.from({ length: HALF_OPEN }, (_, at) => {
        if (at % 4 === 0) return openPlain(serving.tlsUrl, '');
        // The beginning of a ClientHello.
        if (at % 4 === 1) return openPlain(serving.tlsUrl, Buffer.from('160301020001', 'hex'));
        if (at % 4 === 2) return openPlain(serving.publicUrl, 'GET /healthz HTTP/1.1\r\nHost: l');
        return openPlain(serving.publicUrl, '');
      }),
    );
    const [device] = readLines(await client.batch(token, makeDevices('H', 1)));
    expect(device?.certificate).toBeDefined();
    for (let times = 0; times < 20; times += 1) {
      expect((await client.send(`${serving.publicUrl}/healthz`)).status).toBe(200);
      expect((await client.send('/api/v1/openapi.json')).status).toBe(200);
    }
  });
});

describe('what is not the protocol', () => {
  test.each([
    ['random octets', () => randomBytes(4096)],
    ['plain HTTP', () => 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a TLS record of an absurd length', () => Buffer.from('160301ffff01', 'hex')],
  ])('%s at the TLS port: the connection is closed', async (_, make) => {
    const socket = await openPlain(serving.tlsUrl, make());
    socket.resume();
    await closed(socket);
    expect((await client.send('/api/v1/openapi.json')).status).toBe(200);
  });

  test('TLS and octets at the plain port: 400, and closed', async () => {
    const socket = await openPlain(serving.publicUrl, randomBytes(512));
    const text = collect(socket);
    await closed(socket);
    expect(text()).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('two lengths for one body: 400, and closed', async () => {
    const socket = await openTls();
    const text = collect(socket);
    socket.write(`${batchHead('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`);
    await closed(socket);
    expect(text()).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('bodies', () => {
  test('that do not come in time: 408, and closed', async () => {
    const ticket = await makeTicket(home, 'SLOW-1');
    const socket = await openTls();
    const text = collect(socket);
    const headers = [
      `Authorization: Bearer ${ticket}`,
      'Content-Type: application/json',
      'Content-Length: 1000',
    ];
    socket.write(`${head('/api/v1/enroll', ...headers)}{"csr":`);
    await closed(socket);
    expect(text()).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"body-too-slow"/);
  });

  test.each([
    ['by its Content-Length', [`Content-Length: ${64 * MIB}`], ''],
    ['in chunks', ['Transfer-Encoding: chunked'], `20001\r\n${' '.repeat(0x20001)}\r\n`],
  ])('that are too large %s: 413 before all of it came, and closed', async (_, headers, body) => {
    const socket = await openTls();
    const text = collect(socket);
    socket.write(head('/api/v1/enroll', 'Content-Type: application/json', ...headers) + body);
    await closed(socket);
    expect(text()).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"body-too-large"/);
  });

  test('that never end are cut off', async () => {
    const socket = await openTls();
    socket.resume();
    socket.write(head('/api/v1/enroll', 'Content-Type: application/json', 'Transfer-Encoding: chunked'));
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    let chunks = 0;
    const pump = () => {
      while (!socket.destroyed && chunks < 1024 && socket.write(chunk)) chunks += 1;
    };
    socket.on('drain', pump);
    pump();
    await closed(socket);
    expect(chunks).toBeLessThan(1024);
  });

  test.each([
    ['chunked', { 'transfer-encoding': 'chunked' }],
    ['that waits for 100 Continue', { expect: '100-continue' }],
  ])('%s are taken at both doors', async (_, headers) => {
    const device = { serialNumber: `X-${Object.keys(headers)[0]}`, csr: newCsr() };
    const ticket = await makeTicket(home, device.serialNumber);
    const doors = [
      ['/api/v1/enroll', ticket, 'application/json', JSON.stringify({ csr: device.csr })],
      [BATCH, token, 'application/x-ndjson', toLines([device])],
    ] as const;
    for (const [path, bearer, type, body] of doors) {
      const sent = request(new URL(path, serving.tlsUrl), {
        method: 'POST',
        ca: readFileSync(home.pem('root')),
        headers: { ...headers, 'content-type': type, authorization: `Bearer ${bearer}` },
      });
      const answered = once(sent, 'response');
      if ('expect' in headers) {
        sent.flushHeaders();
        await once(sent, 'continue');
      }
      sent.end(body);
      const [response] = await answered;
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part;
      expect([response.statusCode, text]).toEqual([200, expect.stringContaining('BEGIN CERTIFICATE')]);
    }
  });

  test('that are compressed: 415 at both doors, and it is said what is taken', async () => {
    const ticket = await makeTicket(home, 'GZ-1');
    const csr = newCsr();
    const doors = [
      ['/api/v1/enroll', ticket, 'application/json', JSON.stringify({ csr })],
      [BATCH, token, 'application/x-ndjson', toLines([{ serialNumber: 'GZ-1', csr }])],
    ] as const;
    for (const [path, bearer, type, body] of doors) {
      const headers = { 'content-type': type, 'content-encoding': 'gzip' };
      const reply = await client.send(path, { method: 'POST', bearer, headers, body: gzipSync(body) });
      expect([reply.status, codeOf(reply)]).toEqual([415, 'unsupported-media-type']);
      expect(reply.headers['accept-encoding']).toBe('identity');
    }
    expect((await client.enroll(ticket, csr)).status).toBe(200);
  });
});

test('requests sent at once on one connection are answered in order', async () => {
  const names = ['P-1', 'P-2', 'P-3'];
  let all = '';
  for (const [at, name] of names.entries()) {
    const ticket = await makeTicket(home, name);
    const body = JSON.stringify({ csr: newCsr() });
    const headers = [`Authorization: Bearer ${ticket}`, 'Content-Type: application/json'];
    const last = at === names.length - 1 ? ['Connection: close'] : [];
    all += head('/api/v1/enroll', ...headers, `Content-Length: ${body.length}`, ...last) + body;
  }
  const socket = await openTls();
  const text = collect(socket);
  socket.write(all);
  await closed(socket);
  const answered = [...text().matchAll(/\{"serialNumber":"(P-\d)","serial"/g)].map(([, name]) => name);
  expect(answered).toEqual(names);
});

describe('the same thing asked for at once', () => {
  test('two batches with the same lines: one certificate for each device, both are told the same', async () => {
    const devices = makeDevices('TWICE', 300);
    const [one, two] = await Promise.all([client.batch(token, devices), client.batch(token, devices)]);
    expect(readLines(one)).toEqual(readLines(two));
    expect(new Set(readLines(one).map(({ serial }) => serial)).size).toBe(devices.length);
    await readLedger(home, async (read) => {
      for (const { certificate = '' } of readLines(one))
        expect(await faultOf(read, home, certificate)).toBeUndefined();
      const issued = await countIssued(read);
      for (const { serialNumber } of devices) expect(issued.get(`device:own/${serialNumber}`)).toBe(1);
    });
  });

  test('one ticket with 64 keys: exactly one wins', async () => {
    const ticket = await makeTicket(home, 'RACE-1');
    const replies = await Promise.all(Array.from({ length: 64 }, () => client.enroll(ticket, newCsr())));
    const codes = replies.map((reply) => (reply.status === 200 ? 'won' : codeOf(reply)));
    expect(codes.filter((code) => code === 'won')).toHaveLength(1);
    expect(codes.filter((code) => code === 'ticket-bound')).toHaveLength(63);
    await readLedger(home, async (read) => {
      expect((await listIssued(read)).filter(({ holder }) => holder === 'RACE-1')).toHaveLength(1);
    });
  });

  test('one ticket with one key, 16 times: all get the one certificate', async () => {
    const ticket = await makeTicket(home, 'RACE-2');
    const csr = newCsr();
    const replies = await Promise.all(Array.from({ length: 16 }, () => client.enroll(ticket, csr)));
    expect(new Set(replies.map(({ status, body }) => `${status} ${body}`)).size).toBe(1);
    expect(replies[0]?.status).toBe(200);
  });
});

describe('a batch in bounded memory', () => {
  test('a line without end is refused in its place, and the next line is answered', async () => {
    const socket = await openTls();
    const text = collect(socket);
    const block = Buffer.alloc(MIB, 'x');
    const blocks = 192;
    const tail = `\n${toLines(makeDevices('END', 1))}`;
    const grown = await growthDuring(async () => {
      socket.write(batchHead(`Content-Length: ${blocks * MIB + tail.length}`, 'Connection: close'));
      for (let sent = 0; sent < blocks; sent += 1) {
        if (!socket.write(block)) await once(socket, 'drain');
      }
      socket.write(tail);
      await closed(socket);
    });
    expect(text()).toMatch(/"line":1,"error":\{"code":"line-too-long"[\s\S]*"serialNumber":"END-1","serial"/);
    expect(grown).toBeLessThan(GROWTH);
  });

  test('a client that never reads is not waited for with an open purse, and hinders nobody', async () => {
    const devices = makeDevices('MUTE', 100);
    const lines = Buffer.from(toLines(devices));
    const times = 1000;
    const socket = await openTls();
    socket.pause();
    let blocks = 0;
    const grown = await growthDuring(async () => {
      socket.write(batchHead(`Content-Length: ${lines.length * times}`));
      const pump = () => {
        while (blocks < times && !socket.destroyed && socket.write(lines)) blocks += 1;
      };
      socket.on('drain', pump);
      pump();
      // Until nothing moves any more: the server reads no further than it can answer.
      let before = -1;
      await until(async () => {
        const still = before === blocks;
        before = blocks;
        if (!still) await sleep(1000);
        return still;
      });
      const [device] = readLines(await client.batch(token, makeDevices('BESIDE', 1)));
      expect(device?.certificate).toBeDefined();
    });
    expect(blocks).toBeLessThan(times);
    expect(grown).toBeLessThan(GROWTH);
    socket.destroy();
    const again = readLines(await client.batch(token, devices));
    expect(again.every(({ certificate }) => certificate !== undefined)).toBe(true);
    const issued = await readLedger(home, countIssued);
    expect(devices.every(({ serialNumber }) => issued.get(`device:own/${serialNumber}`) === 1)).toBe(true);
  });

  test('a client that goes in the middle of a line: what was whole is there, what was half is not', async () => {
    const devices = makeDevices('GONE', 40);
    const lines = toLines(devices);
    const socket = await openTls();
    const text = collect(socket);
    socket.write(batchHead(`Content-Length: ${lines.length}`));
    socket.write(lines.slice(0, -100));
    await until(() => text().includes('"GONE-39"'));
    socket.destroy();
    const last = devices.at(-1)?.serialNumber;
    const before = await readLedger(home, countIssued);
    expect(before.get(`device:own/${last}`)).toBeUndefined();
    const again = readLines(await client.batch(token, devices));
    expect(again.map(({ serialNumber, error }) => [serialNumber, error])).toEqual(
      devices.map(({ serialNumber }) => [serialNumber, undefined]),
    );
    const after = await readLedger(home, countIssued);
    for (const { serialNumber } of devices) expect(after.get(`device:own/${serialNumber}`)).toBe(1);
  });
});

test('in the end every connection that said nothing whole was closed, and the log tells of no fault of ours', async () => {
  await Promise.all(halfOpen.map((socket) => closed(socket.resume())));
  expect((await client.send(`${serving.publicUrl}/readyz`)).status).toBe(200);
  const faults = serving
    .log()
    .split('\n')
    .filter((line) => /"level":[56]0/.test(line));
  expect(faults).toEqual([]);
});
