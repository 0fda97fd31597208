import type { TLSSocket } from 'node:tls';
import { hasExtendedMasterSecret } from '../../x509/tls-session.ts';

const OCTETS = 32;
const LABEL = 'EXPORTER-Channel-Binding';

/**
 * What a CSR's challengePassword binds it to its connection with, in base64 (RFC 7030 §3.5): tls-exporter on TLS 1.3 (RFC 9266
 * §2), tls-unique on TLS 1.2 (RFC 5929 §3.1: in a full handshake, and we do no other, the client's Finished).
 *
 * @returns undefined where TLS 1.2 goes without extended master secret, when it would bind nothing (RFC 7627)
 */
export function channelBinding(socket: TLSSocket): string | undefined {
  // The context is given and empty: in TLS 1.2 one that is not given makes another value.
  if (socket.getProtocol() === 'TLSv1.3')
    return socket.exportKeyingMaterial(OCTETS, LABEL, Buffer.alloc(0)).toString('base64');
  if (!hasExtendedMasterSecret(socket.getSession())) return undefined;
  return socket.getFinished()?.toString('base64');
}
