import type { TLSSocket } from 'node:tls';
import { createChainMemory } from './chain-memory.ts';

/** What a client showed in its handshake, DER. */
export interface ShownCertificates {
  readonly leaf: Uint8Array;
  readonly chain: readonly Uint8Array[];
}

/** Far above what a device needs, below what OpenSSL takes. */
export const MOST_SHOWN = { certificates: 10, octets: 64 * 1024 } as const;

/**
 * What a client of a TLS listener showed; undefined where that is nothing. To be called once for each connection, when its
 * handshake is done: Node gives the chain once, and a resumed session has none, so that of its first handshake is remembered.
 */
export type CertificateReader = (socket: TLSSocket) => ShownCertificates | undefined;

/** One for each listener, as the keys of its session tickets are. */
export function createCertificateReader(): CertificateReader {
  const chains = createChainMemory();
  return (socket) => {
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return undefined;
    const leaf = certificate.raw;
    if (socket.isSessionReused()) return { leaf, chain: chains.recall(leaf) };
    // Node takes what it hands out away from the connection: who asks again gets the leaf alone.
    const chain: Uint8Array[] = [];
    for (let next = certificate.issuerCertificate; next; next = next.issuerCertificate) chain.push(next.raw);
    const shown = { leaf, chain };
    if (isBounded(shown)) chains.remember(leaf, chain);
    return shown;
  };
}

/** Whether a client showed no more than anybody needs. */
export function isBounded({ leaf, chain }: ShownCertificates): boolean {
  const octets = chain.reduce((sum, { length }) => sum + length, leaf.length);
  return chain.length < MOST_SHOWN.certificates && octets <= MOST_SHOWN.octets;
}
