// Handshakes that are begun and not ended, and heads of requests that are too much.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from './client.ts';
import { makeFolder, makeServedHome } from './home.ts';
import { type Serving, serve, until } from './serving.ts';

const HALF_OPEN = 1000;
/** Descriptors that come and go beside the connections. */
const OTHERS = 40;
const folder = makeFolder();
let serving: Serving;
let ca: Buffer;
let clients: () => Client;

beforeAll(async () => {
  const home = await makeServedHome(folder);
  ca = readFileSync(home.pem('root'));
  serving = await serve(home);
  // A new one for each request: what matters is whether a new connection gets through.
  clients = () => createClient(home, serving);
});
afterAll(async () => {
  await serving.end('SIGTERM');
  folder.remove();
});

const port = () => Number(new URL(serving.tlsUrl).port);
const descriptors = () => readdirSync(`/proc/${serving.pid}/fd`).length;

function descriptorLimit(): number {
  const [, limit = '0'] =
    /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${serving.pid}/limits`, 'utf8')) ?? [];
  return Number(limit);
}

/** The first message of a real client, whole. */
async function clientHello(): Promise<Buffer> {
  let hello = Buffer.alloc(0);
  const wire = new Duplex({
    read: () => undefined,
    write: (part: Buffer, _encoding, done) => {
      hello = Buffer.concat([hello, part]);
      done();
    },
  });
  const client = connectTls({ socket: wire, servername: 'localhost' }).on('error', () => undefined);
  await until(() => hello.length > 5 && hello.length >= 5 + hello.readUInt16BE(3));
  client.destroy();
  return hello;
}

async function open(first?: Uint8Array): Promise<Socket> {
  const socket = connect(port(), '127.0.0.1').on('error', () => undefined);
  await once(socket, 'connect');
  if (first) socket.write(first);
  return socket;
}

async function openTls(): Promise<TLSSocket> {
  const socket = connectTls({ port: port(), host: '127.0.0.1', servername: 'localhost', ca });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

async function answers(): Promise<number> {
  const client = clients();
  const { status } = await client.send('/api/v1/openapi.json');
  client.close();
  return status;
}

// At the same time, since each waits for a deadline of the server's.
test.concurrent('1,000 handshakes that do not end keep nobody from being served, and all are given up', async () => {
  const hello = await clientHello();
  const before = descriptors();
  const sockets = await Promise.all(
    // Half of them say nothing; the other half stops after the ClientHello, when the server has answered.
    Array.from({ length: HALF_OPEN }, (_, at) => open(at % 2 === 0 ? undefined : hello)),
  );
  await until(() => descriptors() >= before + HALF_OPEN);
  for (let times = 0; times < 20; times += 1) expect(await answers()).toBe(200);
  expect(descriptors()).toBeLessThan(descriptorLimit());
  await Promise.all(sockets.map((socket) => closed(socket.resume())));
  await until(() => descriptors() < before + OTHERS);
  expect(await answers()).toBe(200);
});

test.concurrent('a handshake that comes octet by octet is given up, however steadily it comes', async () => {
  const hello = await clientHello();
  const socket = await open();
  socket.resume();
  let sent = 0;
  while (!socket.destroyed && socket.writable && sent < hello.length) {
    socket.write(hello.subarray(sent, sent + 1));
    sent += 1;
    await sleep(100);
  }
  await closed(socket);
  expect(sent).toBeLessThan(hello.length);
});

describe.concurrent("a request's head", () => {
  test('that is huge is refused with 431, and the connection closed; one below the bound is not', async () => {
    for (const [octets, status] of [
      [12 * 1024, '200'],
      [20 * 1024, '431'],
    ] as const) {
      const socket = await openTls();
      let text = '';
      socket.on('data', (part: Buffer) => {
        text += part.toString('latin1');
      });
      const header = `X-Much: ${'x'.repeat(octets)}`;
      socket.write(
        `GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${header}\r\n\r\n`,
      );
      await closed(socket);
      expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    }
    expect(await answers()).toBe(200);
  });

  test('that comes line by line without end is given up', async () => {
    const socket = await openTls();
    socket.resume();
    socket.write('GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n');
    let lines = 0;
    while (!socket.destroyed && socket.writable && lines < 600) {
      socket.write(`X-${lines}: x\r\n`);
      lines += 1;
      await sleep(100);
    }
    await closed(socket);
    expect(lines).toBeLessThan(600);
    expect(await answers()).toBe(200);
  });
});

test('the log tells of no fault of ours', () => {
  expect(
    serving
      .log()
      .split('\n')
      .filter((line) => /"level":[56]0/.test(line)),
  ).toEqual([]);
});
