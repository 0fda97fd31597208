import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../src/agent/index.ts';
import { probeMqtt } from '../../src/agent/probe/mqtt-probe.ts';
import { newKey } from '../house.ts';
import { keyPem, pemOf, shareAgentLab } from './lab.ts';

// What a broker does, and what it says of the credential that it was shown.

const lab = await shareAgentLab();
const { house, root } = lab;
const own = newKey();
const { certificate, chain } = await house.grant('MQ-1', { key: own, profile: 'ldevid' });
const credential: Credential = {
  key: {
    spki: own.spki,
    algorithm: 'ecdsa-sha256',
    sign: () => {
      throw new Error('a broker asks for nothing that is signed outside TLS');
    },
    tls: () => ({ key: keyPem(own) }),
  },
  chain: [certificate, ...chain],
};

/** `reset` ends the TCP connection below. */
type Act = (socket: TLSSocket, reset: () => void) => void;

/** A broker that does something with each connection whose handshake is over. */
async function broker(act: Act, options: TlsOptions = {}): Promise<string> {
  const key = newKey();
  const { certificate, chain } = await lab.serverCertificate(key);
  const server = createServer(
    {
      key: keyPem(key),
      cert: pemOf([certificate, ...chain]),
      requestCert: true,
      rejectUnauthorized: false,
      ...options,
    },
    (socket) => {
      socket.on('error', () => undefined);
      act(socket, () => below.get(socket.remotePort)?.resetAndDestroy());
    },
  );
  const below = new Map<number | undefined, Socket>();
  server.on('connection', (socket: Socket) => below.set(socket.remotePort, socket));
  server.listen(0, 'localhost');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `mqtts://localhost:${(server.address() as AddressInfo).port}`;
}

const answering =
  (...octets: readonly number[]) =>
  (socket: TLSSocket) => {
    socket.once('data', () => socket.write(Uint8Array.from(octets)));
  };
const saying = (code: number) => answering(0x20, 2, 0, code);

test.each<[string, string, Act, TlsOptions?]>([
  ['accepted', 'lets it in', saying(0)],
  ['refused', 'does not take the ClientId', saying(2)],
  ['refused', 'does not take the user', saying(4)],
  ['refused', 'does not authorize it', saying(5)],
  ['unclear', 'speaks another version', saying(1)],
  ['unclear', 'is not there for now', saying(3)],
  ['unclear', 'says something else', answering(0x30, 2, 0, 0)],
  ['unclear', 'resets', (socket, reset) => void socket.once('data', reset)],
  ['unclear', 'resets before anything is said', (_socket, reset) => reset()],
  ['unclear', 'ends', (socket) => void socket.end()],
  ['unclear', 'is silent', () => undefined],
  ['unclear', 'judges by itself and tells TLS nothing', saying(0), { rejectUnauthorized: true, ca: [] }],
])('it is %s by a broker that %s', async (kind, _what, act, options) => {
  const url = await broker(act, options);
  const at = house.clock.now();
  const verdict = await probeMqtt('MQ-1', { url, credential, anchors: [root], at, timeoutMs: 500 });
  expect(verdict.kind).toBe(kind);
});

test('it is unclear by who is not the broker, and where nobody listens', async () => {
  const url = await broker(saying(0));
  const at = house.clock.now();
  const ask = (anchors: readonly Uint8Array[], to = url) =>
    probeMqtt('MQ-1', { url: to, credential, anchors, at, timeoutMs: 500 });
  expect(await ask([])).toMatchObject({ kind: 'unclear', detail: expect.stringContaining('not the server') });
  expect(await ask([root], 'mqtts://localhost:1')).toMatchObject({ kind: 'unclear' });
});
