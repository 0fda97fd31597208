import { createHash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import { BirthmarkError } from '../core/errors.ts';
import {
  createCertificateReader,
  isBounded,
  MOST_SHOWN,
  type ShownCertificates,
} from '../core/shown-certificates.ts';
import type { Peer } from '../enroll/peer.ts';
import { readChannelBinding } from './channel-binding.ts';
import { type ForwardedDialect, parseForwarded } from './forwarded-certificate.ts';

/** A proxy that ends TLS for devices and speaks for them. */
export interface TrustedProxy {
  readonly name: string;
  /** Of the certificate that the proxy shows us; lower-case hexadecimal, over the DER. */
  readonly certificateSha256: string;
  readonly forwarded: ForwardedDialect;
}

export interface PeerReader {
  /**
   * To be called once for each TLS connection, when its handshake is done: Node gives the chain once, and a resumed
   * session has none.
   */
  meet(socket: TLSSocket): void;
  /** What the client of this very connection showed, be it a proxy or not. */
  shownBy(request: FastifyRequest): ShownCertificates | undefined;
  /**
   * Who is behind a request. A certificate that a header forwards is believed from a configured proxy only; on a resumed
   * session it is the one of the session's first handshake. None of it is judged here.
   *
   * @throws BirthmarkError `certificate-refused` where somebody else sends such a header, or a chain is too long;
   *   `bad-request` where a proxy's header cannot be read
   */
  peerOf(request: FastifyRequest): Peer;
}

/** Reads what connections prove. One for each listener, since it knows the listener's sockets. */
export function createPeerReader({ proxies }: { readonly proxies: readonly TrustedProxy[] }): PeerReader {
  const readShown = createCertificateReader();
  const shown = new WeakMap<object, ShownCertificates>();
  const peers = new WeakMap<object, Peer>();
  const byFingerprint = new Map(proxies.map((proxy) => [proxy.certificateSha256, proxy]));
  const forwarding = new Set(proxies.flatMap(({ forwarded }) => headersOf(forwarded)).concat(KNOWN_HEADERS));

  const peerOfConnection = (socket: object): Peer => {
    const known = peers.get(socket);
    if (known) return known;
    const certificates = shown.get(socket);
    const binding = isTls(socket) ? readChannelBinding(socket) : undefined;
    const peer: Peer = {
      ...(certificates && { certificate: { ...bounded(certificates), via: 'tls' } }),
      ...(binding && { binding }),
    };
    peers.set(socket, peer);
    return peer;
  };

  return {
    meet: (socket) => {
      const certificates = readShown(socket);
      if (certificates) shown.set(socket, certificates);
    },
    shownBy: (request) => shown.get(request.raw.socket),
    peerOf: ({ raw: { socket, headers } }) => {
      const leaf = shown.get(socket)?.leaf;
      const proxy = leaf && byFingerprint.get(createHash('sha256').update(leaf).digest('hex'));
      if (!proxy) {
        const header = [...forwarding].find((name) => headers[name] !== undefined);
        if (header !== undefined) throw refuseHeader(header);
        return peerOfConnection(socket);
      }
      const certificate = parseForwarded(proxy.forwarded, headers);
      return certificate ? { certificate: { ...certificate, via: `proxy:${proxy.name}` } } : {};
    },
  };
}

/** Those that mean a client certificate to somebody, whether configured or not. */
const KNOWN_HEADERS: readonly string[] = ['client-cert', 'client-cert-chain', 'x-forwarded-client-cert'];

function headersOf(dialect: ForwardedDialect): readonly string[] {
  return dialect.kind === 'nginx' ? [dialect.header.toLowerCase()] : [];
}

function bounded(certificates: ShownCertificates): ShownCertificates {
  if (isBounded(certificates)) return certificates;
  throw new BirthmarkError(
    'certificate-refused',
    `a client may show ${MOST_SHOWN.certificates} certificates of ${MOST_SHOWN.octets} octets in all; leave out what is not between yours and its root`,
  );
}

function refuseHeader(header: string): BirthmarkError {
  return new BirthmarkError(
    'certificate-refused',
    `the header ${header} is believed only from a configured proxy, which shows its own certificate; connect directly, or leave it out`,
    { field: header },
  );
}

function isTls(socket: object): socket is TLSSocket {
  return 'getPeerX509Certificate' in socket && typeof socket.getPeerX509Certificate === 'function';
}
