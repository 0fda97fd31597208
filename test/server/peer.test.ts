import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, describe, expect, test } from 'vitest';
import type { TrustedProxy } from '../../src/server/peer.ts';
import { toPem } from '../../src/x509/pem.ts';
import {
  type Identity,
  INTERMEDIATE,
  newIdentity,
  ROOT,
  type ShownPeer,
  startPeerServer,
} from './peer-server.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const device = newIdentity('ldevid');
const proxyKeys = {
  edge: newIdentity('operator'),
  envoy: newIdentity('operator'),
  nginx: newIdentity('operator'),
};
const proxies: readonly TrustedProxy[] = [
  { name: 'edge', certificateSha256: proxyKeys.edge.sha256, forwarded: { kind: 'rfc9440' } },
  { name: 'envoy', certificateSha256: proxyKeys.envoy.sha256, forwarded: { kind: 'xfcc' } },
  {
    name: 'nginx',
    certificateSha256: proxyKeys.nginx.sha256,
    forwarded: { kind: 'nginx', header: 'X-SSL-Client-Cert' },
  },
];
const server = await startPeerServer(proxies);
afterAll(() => server[Symbol.asyncDispose]());

interface Connection {
  readonly socket: TLSSocket;
  /** Asks on this connection. */
  ask(headers?: Readonly<Record<string, string>>): Promise<ShownPeer & { readonly code?: string }>;
  /** What a later connection resumes this session with. */
  readonly session: Promise<Buffer>;
}

async function open(identity?: Identity, options: ConnectionOptions = {}): Promise<Connection> {
  const socket = connect({
    host: '127.0.0.1',
    port: server.port,
    rejectUnauthorized: false,
    ...(identity && { key: identity.keyPem, cert: identity.pem }),
    ...options,
  });
  // What is written while Node tells of a session is not sent.
  const session = once(socket, 'session').then(([ticket]) => nextTurn(ticket as Buffer));
  session.catch(() => undefined);
  await once(socket, 'secureConnect');
  return {
    socket,
    session,
    ask: async (headers = {}) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`GET /peer HTTP/1.1\r\nHost: a\r\n${lines.join('')}\r\n`);
      let text = '';
      for (;;) {
        const [part] = await once(socket, 'data');
        text += String(part);
        const [head = '', body] = text.split('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
        if (body !== undefined && Buffer.byteLength(body) >= length) return JSON.parse(body);
      }
    },
  };
}

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

describe.each(VERSIONS)('on %s', (version) => {
  const at = { minVersion: version, maxVersion: version };

  test('gives leaf and chain as the client sent them, however often it asks', async () => {
    const odd = newIdentity('ldevid', [ROOT, INTERMEDIATE, ROOT]);
    for (const identity of [device, odd]) {
      const { ask, socket } = await open(identity, at);
      for (let times = 0; times < 2; times += 1) {
        expect(await ask()).toMatchObject({
          leaf: hex(identity.leaf),
          chain: identity.chain.map(hex),
          via: 'tls',
          reused: false,
        });
      }
      socket.destroy();
    }
  });

  test('gives none where there is none', async () => {
    const { ask, socket } = await open(undefined, at);
    const peer = await ask();
    expect([peer.leaf, peer.reused, peer.protocol]).toEqual([undefined, false, version]);
    socket.destroy();
  });

  test('gives leaf and chain on a resumed session, also where nobody asked in the first one', async () => {
    const identity = newIdentity('ldevid', [INTERMEDIATE, ROOT]);
    const first = await open(identity, at);
    const session = await first.session;
    first.socket.destroy();
    const again = await open(identity, { ...at, session });
    expect(await again.ask()).toMatchObject({
      leaf: hex(identity.leaf),
      chain: identity.chain.map(hex),
      reused: true,
    });
    again.socket.destroy();
  });

  test('a session of nobody resumed with a certificate at hand stays of nobody', async () => {
    const first = await open(undefined, at);
    const session = await first.session;
    first.socket.destroy();
    const again = await open(device, { ...at, session });
    const peer = await again.ask();
    expect([peer.reused, peer.leaf]).toEqual([true, undefined]);
    again.socket.destroy();
  });

  test('gives the binding that the client has, in a full handshake and a resumed one', async () => {
    const first = await open(device, at);
    const session = await first.session;
    const full = await first.ask();
    const again = await open(device, { ...at, session });
    const resumed = await again.ask();
    expect([full.reused, resumed.reused]).toEqual([false, true]);
    expect([full.kind, full.octets, resumed.octets]).toEqual(
      version === 'TLSv1.3'
        ? ['tls-exporter', exported(first.socket), exported(again.socket)]
        : // Of the client's own side: what it sent in a full handshake, what it got in a resumed one.
          ['tls-unique', hexOf(first.socket.getFinished()), hexOf(again.socket.getPeerFinished())],
    );
    expect(full.octets).not.toBe(resumed.octets);
    first.socket.destroy();
    again.socket.destroy();
  });

  test.each([
    ['ten certificates', [...Array<Buffer>(9).fill(INTERMEDIATE)], undefined],
    ['eleven', [...Array<Buffer>(10).fill(INTERMEDIATE)], 'certificate-refused'],
  ])('a client that shows %s', async (_title, chain, code) => {
    const { ask, socket } = await open(newIdentity('ldevid', chain), at);
    const answer = await ask();
    expect([answer.code, answer.chain?.length]).toEqual([code, code ? undefined : chain.length]);
    socket.destroy();
  });
});

const exported = (socket: TLSSocket) =>
  hex(socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)));
const hexOf = (finished: Buffer | undefined) => (finished ? hex(finished) : 'none');

const binary = (der: Uint8Array) => `:${Buffer.from(der).toString('base64')}:`;
const escaped = encodeURIComponent(toPem('CERTIFICATE', device.leaf));
const FORWARDING = [
  ['edge', { 'Client-Cert': binary(device.leaf), 'Client-Cert-Chain': binary(INTERMEDIATE) }, [INTERMEDIATE]],
  ['envoy', { 'X-Forwarded-Client-Cert': `Hash=${device.sha256};Cert="${escaped}"` }, []],
  ['nginx', { 'X-SSL-Client-Cert': escaped }, []],
] as const;

describe.each(FORWARDING)('the headers of %s', (name, headers, chain) => {
  test('are believed from it, on a resumed session too, and bind to no connection', async () => {
    const first = await open(proxyKeys[name]);
    const session = await first.session;
    const again = await open(proxyKeys[name], { session });
    for (const { ask, socket } of [first, again]) {
      const peer = await ask(headers);
      expect(peer).toMatchObject({ leaf: hex(device.leaf), chain: chain.map(hex), via: `proxy:${name}` });
      expect(peer.kind).toBeUndefined();
      socket.destroy();
    }
  });

  test.each<[string, Identity | undefined]>([
    ['nobody', undefined],
    ['a device', device],
    ["another certificate of the proxy's issuer", newIdentity('operator')],
  ])('are refused from %s', async (_title, identity) => {
    const { ask, socket } = await open(identity);
    expect(await ask(headers)).toMatchObject({ code: 'certificate-refused' });
    socket.destroy();
  });
});

test("a proxy without its header speaks for nobody; its own certificate is no device's", async () => {
  for (const identity of Object.values(proxyKeys)) {
    const { ask, socket } = await open(identity);
    const peer = await ask();
    expect([peer.leaf, peer.kind, peer.code]).toEqual([undefined, undefined, undefined]);
    socket.destroy();
  }
});

test("a proxy's clients do not speak in another dialect than the proxy's", async () => {
  const { ask, socket } = await open(proxyKeys.envoy);
  const [, foreign] = FORWARDING[0];
  const peer = await ask(foreign);
  expect([peer.leaf, peer.code]).toEqual([undefined, undefined]);
  socket.destroy();
});

test("a proxy's header that cannot be read is refused", async () => {
  const { ask, socket } = await open(proxyKeys.edge);
  expect(await ask({ 'Client-Cert': 'x' })).toMatchObject({ code: 'bad-request' });
  socket.destroy();
});

test('without a proxy configured every known header is refused', async () => {
  await using alone = await startPeerServer();
  for (const [name, headers] of FORWARDING.filter(([name]) => name !== 'nginx')) {
    const response = await open(proxyKeys[name], { port: alone.port });
    expect(await response.ask(headers)).toMatchObject({ code: 'certificate-refused' });
    response.socket.destroy();
  }
});
