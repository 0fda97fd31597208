// A listener of ours whose only door tells what a connection proves, and certificates for its clients.
import { createHash } from 'node:crypto';
import { Server, type TLSSocket } from 'node:tls';
import pino from 'pino';
import { createBaseApp } from '../../src/server/base-app.ts';
import { createPeerReader, type TrustedProxy } from '../../src/server/peer.ts';
import { TLS_POLICY } from '../../src/server/tls-policy.ts';
import { encodeName } from '../../src/x509/name.ts';
import { toPem } from '../../src/x509/pem.ts';
import { type SampleKey, type Shape, sampleKey, sampleTbs, signed } from '../x509/samples.ts';
import { LIMITS } from './test-server.ts';

export interface ShownPeer {
  /** DER in hexadecimal. */
  readonly leaf?: string;
  readonly chain?: readonly string[];
  readonly via?: string;
  readonly kind?: string;
  readonly octets?: string;
  readonly reused: boolean;
  readonly protocol: string;
}

export interface PeerServer extends AsyncDisposable {
  readonly port: number;
}

/** A key with its certificate, and those above it without the root. */
export interface Identity {
  readonly key: SampleKey;
  readonly keyPem: string;
  readonly leaf: Buffer;
  readonly chain: readonly Buffer[];
  /** Leaf and chain. */
  readonly pem: string;
  readonly sha256: string;
}

const root = sampleKey('P-256');
const intermediate = sampleKey('P-256');
const rootName = encodeName([{ type: 'CN', value: 'Root' }]);
const intermediateName = encodeName([{ type: 'CN', value: 'Intermediate' }]);
export const ROOT = signed(root, sampleTbs('ca', root, root, { issuer: rootName, subject: rootName }));
export const INTERMEDIATE = signed(
  root,
  sampleTbs('ca', intermediate, root, { issuer: rootName, subject: intermediateName }),
);

export function newIdentity(shape: Shape, chain: readonly Buffer[] = [INTERMEDIATE]): Identity {
  const key = sampleKey('P-256');
  const leaf = signed(intermediate, sampleTbs(shape, key, intermediate, { issuer: intermediateName }));
  return {
    key,
    keyPem: String(key.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    leaf,
    chain,
    pem: [leaf, ...chain].map((der) => toPem('CERTIFICATE', der)).join(''),
    sha256: createHash('sha256').update(leaf).digest('hex'),
  };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

export async function startPeerServer(
  proxies: readonly TrustedProxy[] = [],
  host = '127.0.0.1',
): Promise<PeerServer> {
  const { keyPem, pem } = newIdentity('server');
  const app = createBaseApp({
    logger: pino({ level: 'silent' }),
    limits: LIMITS,
    tls: { ...TLS_POLICY, key: keyPem, cert: pem },
  });
  const peers = createPeerReader({ proxies });
  if (!(app.server instanceof Server)) throw new Error('it is a TLS server');
  app.server.prependListener('secureConnection', peers.meet);
  app.get('/peer', (request): ShownPeer => {
    const { certificate, binding } = peers.peerOf(request);
    const { socket } = request.raw;
    return {
      ...(certificate && {
        leaf: hex(certificate.leaf),
        chain: certificate.chain.map(hex),
        via: certificate.via,
      }),
      ...(binding && { kind: binding.kind, octets: hex(binding.octets) }),
      reused: 'isSessionReused' in socket && (socket as TLSSocket).isSessionReused(),
      protocol: String((socket as TLSSocket).getProtocol()),
    };
  });
  const listening: Promise<string> = app.listen({ host, port: 0 });
  await listening;
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    [Symbol.asyncDispose]: async () => void (await app.close()),
  };
}
