import type { TLSSocket } from 'node:tls';
import type { ChannelBinding } from '../enroll/peer.ts';
import { hasExtendedMasterSecret } from '../x509/tls-session.ts';

const OCTETS = 32;
const LABEL = 'EXPORTER-Channel-Binding';

/**
 * What names the TLS connection on both of its ends: tls-exporter on TLS 1.3 (RFC 9266 §2), tls-unique on TLS 1.2 (RFC
 * 5929 §3.1: the first Finished of the handshake, the client's in a full one, the server's in a resumed one).
 *
 * @returns undefined where TLS 1.2 goes without extended master secret: whoever sits between two connections can then
 *   give both the same Finished (RFC 7627)
 */
export function readChannelBinding(socket: TLSSocket): ChannelBinding | undefined {
  // The context is given and empty: in TLS 1.2 one that is not given makes another value.
  if (socket.getProtocol() === 'TLSv1.3')
    return { kind: 'tls-exporter', octets: socket.exportKeyingMaterial(OCTETS, LABEL, Buffer.alloc(0)) };
  if (!hasExtendedMasterSecret(socket.getSession())) return undefined;
  const finished = socket.isSessionReused() ? socket.getFinished() : socket.getPeerFinished();
  return finished && { kind: 'tls-unique', octets: finished };
}
