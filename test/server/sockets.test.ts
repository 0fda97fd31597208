import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { newCsr } from '../house.ts';
import { LIMITS, startTestServer, type TestServer } from './test-server.ts';

/** A raw connection to the local API, which speaks plain HTTP. */
async function open(
  server: TestServer,
): Promise<{ socket: Socket; heard(): string; closed: Promise<unknown> }> {
  const address = await server.local.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect(Number(new URL(address).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return { socket, heard: () => text, closed };
}

async function until(holds: () => boolean): Promise<void> {
  for (let at = 0; at < 200 && !holds(); at += 1) await sleep(10);
}

const head = (path: string, more: string) => `POST /api/v1${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n\r\n`;

describe('a body that does not come in time', () => {
  test('is answered with 408 and the connection is closed', async () => {
    await using server = await startTestServer();
    const { socket, heard, closed } = await open(server);
    socket.write(`${head('/tickets', 'content-type: application/json\r\ncontent-length: 100')}{"serial`);
    const started = performance.now();
    await closed;
    expect(heard()).toMatch(/^HTTP\/1\.1 408 /);
    expect(heard()).toContain('"code":"body-too-slow"');
    expect(heard().toLowerCase()).toContain('connection: close');
    expect(performance.now() - started).toBeGreaterThanOrEqual(LIMITS.bodyMs * 0.9);
  });

  test('is as late when it trickles', async () => {
    await using server = await startTestServer();
    const { socket, heard, closed } = await open(server);
    socket.write(head('/tickets', 'content-type: application/json\r\ncontent-length: 1000'));
    const trickle = setInterval(() => socket.write(' '), 20);
    await closed;
    clearInterval(trickle);
    expect(heard()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('that came in time is not', async () => {
    await using server = await startTestServer();
    const { socket, heard } = await open(server);
    const body = JSON.stringify({ serialNumber: 'SN-1' });
    socket.write(head('/tickets', `content-type: application/json\r\ncontent-length: ${body.length}`));
    await sleep(LIMITS.bodyMs / 4);
    socket.write(body);
    await until(() => heard().includes('bmt_'));
    expect(heard()).toMatch(/^HTTP\/1\.1 201 /);
    // And the deadline does not close what is kept open.
    await sleep(LIMITS.bodyMs * 1.5);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  test('is no matter at the batch door: it may be as slow as it likes while it comes', async () => {
    await using server = await startTestServer();
    const { socket, heard } = await open(server);
    socket.write(head('/factory/batch', 'content-type: application/x-ndjson\r\ntransfer-encoding: chunked'));
    for (let at = 0; at < 3; at += 1) {
      const line = `${JSON.stringify({ serialNumber: `SN-${at}`, csr: newCsr().toString('base64') })}\n`;
      socket.write(`${line.length.toString(16)}\r\n${line}\r\n`);
      await sleep(LIMITS.bodyMs * 0.6);
      // Each line is answered before the next one is sent.
      await until(() => heard().includes(`"serialNumber":"SN-${at}"`));
      expect(heard()).toContain(`"serialNumber":"SN-${at}"`);
    }
    socket.write('0\r\n\r\n');
    await until(() => heard().endsWith('0\r\n\r\n'));
    expect(heard()).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });
});

describe('a client that goes away', () => {
  test('in the middle of its batch hinders nobody, and what it had is answered when it comes again', async () => {
    await using server = await startTestServer();
    const { socket, heard } = await open(server);
    const csr = newCsr().toString('base64');
    const line = `${JSON.stringify({ serialNumber: 'SN-1', csr })}\n`;
    socket.write(head('/factory/batch', 'content-type: application/x-ndjson\r\ntransfer-encoding: chunked'));
    socket.write(`${line.length.toString(16)}\r\n${line}\r\n`);
    await until(() => heard().includes('SN-1'));
    socket.destroy();
    await sleep(30);
    expect(server.log.filter((one) => JSON.parse(one).level >= 50)).toEqual([]);
    const token = await server.token('factory');
    const { text } = await server.ask('POST', '/factory/batch', {
      token,
      body: line,
      type: 'application/x-ndjson',
    });
    expect(heard()).toContain(JSON.parse(text).serial);
  });

  test('in the middle of its head hinders nobody', async () => {
    await using server = await startTestServer();
    const { socket } = await open(server);
    socket.write('POST /api/v1/tick');
    socket.destroy();
    await sleep(20);
    expect((await server.local.inject({ method: 'GET', url: '/api/v1/devices' })).statusCode).toBe(200);
  });
});

test('what is no HTTP is answered as such, and closed', async () => {
  await using server = await startTestServer();
  const { socket, heard, closed } = await open(server);
  socket.write('\x16\x03\x01 hello\r\n\r\n');
  await closed;
  expect(heard()).toMatch(/^HTTP\/1\.1 400 /);
});

test('a body that is larger than its address takes is refused before it came', async () => {
  await using server = await startTestServer();
  const { socket, heard } = await open(server);
  socket.write(head('/tickets', `content-type: application/json\r\ncontent-length: ${1e9}`));
  await until(() => heard().includes('body-too-large'));
  expect(heard()).toMatch(/^HTTP\/1\.1 413 /);
  socket.destroy();
});
