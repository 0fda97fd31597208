// Clients that end their sending side with their request, as `nc -N` and gnutls-cli do.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createGateHttp, type GateHttpOptions } from '../../src/broker-auth/http.ts';
import { createLocalApi } from '../../src/server/api-app.ts';
import { createConstrainedDoor, createTlsDoor } from '../../src/server/secure-door.ts';
import { toPem } from '../../src/x509/pem.ts';
import { sampleKey, sampleTbs, signed } from '../x509/samples.ts';
import { LIMITS, startTestServer, type TestServer } from './test-server.ts';

const LISTENERS = ['local', 'public', 'tls', 'constrained', 'gate'] as const;
type Listener = (typeof LISTENERS)[number];

/** A gate without a broker, whose metrics take a moment: the client's end is there before the answer is begun. */
const GATE: GateHttpOptions = {
  dialects: [],
  logger: pino({ level: 'silent' }),
  readiness: () => ({}),
  metrics: {
    contentType: 'text/plain',
    metrics: async () => {
      await sleep(50);
      return 'gate_sessions 0\n'.repeat(20_000);
    },
  },
};

function ownContext() {
  const key = sampleKey('P-256');
  const cert = toPem('CERTIFICATE', signed(key, sampleTbs('server', key, key)));
  return { cert, key: String(key.privateKey.export({ type: 'pkcs8', format: 'pem' })) };
}

/** Opens a listener and connects to it. */
async function reach(server: TestServer, listener: Listener): Promise<Socket> {
  const apps = {
    local: async () => server.local,
    public: async () => server.publicApp,
    tls: async () => (await createTlsDoor(server.options, ownContext())).app,
    constrained: async () => (await createConstrainedDoor(server.options, ownContext())).app,
    gate: async () => createGateHttp(GATE),
  };
  return listenAndConnect(await apps[listener]());
}

async function listenAndConnect(app: Pick<FastifyInstance, 'listen' | 'close'>): Promise<Socket> {
  const listening: Promise<string> = app.listen({ host: '127.0.0.1', port: 0 });
  const address = await listening;
  onTestFinished(async () => void (await app.close()));
  return connectTo(address);
}

async function connectTo(address: string): Promise<Socket> {
  const at = { host: '127.0.0.1', port: Number(new URL(address).port), allowHalfOpen: true };
  const isSecure = address.startsWith('https:');
  const socket = isSecure ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, isSecure ? 'secureConnect' : 'connect');
  return socket;
}

const head = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`;

/** All that a connection gives until its end. */
async function heardOf(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  // Not `once` of node:events: what is still written is answered by a reset, which it would throw.
  await new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));
  return Buffer.concat(parts);
}

describe('a client that ends its sending side with its request', () => {
  test.each([
    ['local', '/api/v1/devices'],
    ['public', '/readyz'],
    ['tls', '/api/v1/openapi.json'],
    ['constrained', '/api/v1/openapi.json'],
    ['gate', '/metrics'],
  ] as const)('is answered in full by the %s listener, which closes then', async (listener, path) => {
    await using server = await startTestServer();
    const socket = await reach(server, listener);
    socket.end(head(path));
    // Behind a slow link: the end of the request is there long before that of the answer.
    await sleep(100);
    const heard = await heardOf(socket);
    const [header = '', ...body] = heard.toString('latin1').split('\r\n\r\n');
    expect(header).toMatch(/^HTTP\/1\.1 200 /);
    expect(body.join('\r\n\r\n').length).toBe(Number(/content-length: (\d+)/i.exec(header)?.[1]));
  });

  test.each(['local', 'tls'] as const)('and has asked twice is answered twice (%s)', async (listener) => {
    await using server = await startTestServer();
    const socket = await reach(server, listener);
    socket.end(head('/api/v1/devices').repeat(2));
    expect((await heardOf(socket)).toString('latin1').match(/HTTP\/1\.1 \d+/g)).toHaveLength(2);
  });
});

describe('a half-closed connection', () => {
  test.each(LISTENERS)('without a request is closed at once by the %s listener', async (listener) => {
    await using server = await startTestServer();
    const socket = await reach(server, listener);
    const started = performance.now();
    socket.end();
    await heardOf(socket);
    expect(performance.now() - started).toBeLessThan(LIMITS.idleMs / 2);
  });

  test.each(['local', 'tls'] as const)('does not follow the status feed (%s)', async (listener) => {
    await using server = await startTestServer();
    const token = await server.token('gate');
    const socket = await reach(server, listener);
    const closed = heardOf(socket);
    socket.write(head('/api/v1/status-feed', `authorization: Bearer ${token}\r\n`));
    await once(socket, 'data');
    socket.end();
    const started = performance.now();
    expect((await closed).toString()).toContain('birthmark status feed');
    expect(performance.now() - started).toBeLessThan(LIMITS.idleMs / 2);
  });

  test('whose client takes nothing is closed when nothing moved for the idle time', async () => {
    await using server = await startTestServer();
    const app: FastifyInstance = await createLocalApi({
      ...server.options,
      limits: { ...LIMITS, idleMs: 300 },
    });
    const socket = await listenAndConnect(app);
    socket.pause();
    // More than what the system keeps for a connection.
    socket.end(head('/api/v1/devices').repeat(20_000));
    let connections = 1;
    for (let tries = 0; tries < 100 && connections > 0; tries += 1) {
      await sleep(50);
      connections = await new Promise<number>((resolve, reject) =>
        app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    }
    expect(connections).toBe(0);
  });
});

describe('behind the last answer of a connection', () => {
  const LAST = head('/api/v1/devices', 'connection: close\r\n');

  test.each(['local', 'tls'] as const)('who never closes is closed in seconds (%s)', async (listener) => {
    await using server = await startTestServer();
    const socket = await reach(server, listener);
    socket.write(LAST);
    const started = performance.now();
    // Its own side stays open: what it goes on sending is answered by a reset at the end.
    const pushing = setInterval(() => socket.write(head('/api/v1/devices')), 50);
    const heard = await heardOf(socket);
    clearInterval(pushing);
    expect(heard.toString('latin1').match(/HTTP\/1\.1 \d+/g)).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(LIMITS.idleMs);
  });
});
