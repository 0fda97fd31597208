import { once } from 'node:events';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { BirthmarkError } from '../../core/errors.ts';
import { createCertificateReader } from '../../core/shown-certificates.ts';
import { toPem } from '../../x509/pem.ts';
import type { Credential } from '../ports.ts';
import { type JudgedServer, judgeServer, type ServerRules } from './judge-server.ts';
import { hostAndPort, type Place } from './place.ts';

export interface TlsOptions {
  readonly place: Place;
  /** Absent only for what needs no trust in the server: asking for CA certificates whose fingerprint is known. */
  readonly server?: ServerRules;
  /** Shown to the server where it asks. */
  readonly credential?: Credential;
  readonly alpn?: string;
}

export interface OpenTls {
  readonly socket: TLSSocket;
  /** Absent where the server was not judged. */
  readonly server?: JudgedServer;
}

/**
 * TLS over a connection. When it comes back, nothing has been sent inside and the server is who it should be: its path
 * ends at one of our roots and its certificate names the place (RFC 9525 §6; RFC 7030 §3.6.1). Time is the caller's, because
 * a device's clock may be wrong; OpenSSL would take the machine's.
 *
 * @throws BirthmarkError `server-untrusted`, `unavailable` where there is no handshake
 */
export async function openTls(
  connection: Duplex,
  options: TlsOptions,
  signal: AbortSignal,
): Promise<OpenTls> {
  const { place, server } = options;
  const socket = begin(connection, options);
  try {
    await once(socket, 'secureConnect', { signal });
    return {
      socket,
      ...(server && { server: judgeServer(createCertificateReader()(socket), place, server) }),
    };
  } catch (cause) {
    socket.on('error', () => undefined);
    socket.destroy();
    connection.destroy();
    if (cause instanceof BirthmarkError) throw cause;
    const why = signal.aborted ? 'no answer in time' : cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `no TLS with ${hostAndPort(place)}: ${why}`, { cause });
  }
}

function begin(connection: Duplex, options: TlsOptions): TLSSocket {
  try {
    return connect({ socket: connection, ...tlsSettings(options) });
  } catch (cause) {
    connection.destroy();
    if (cause instanceof BirthmarkError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('key-store-failed', `TLS cannot use the device's key: ${why}`, { cause });
  }
}

/** What Node is told. What it says of the server's path is not asked: `judgeServer` must be. */
function tlsSettings({ place, credential, alpn }: TlsOptions): SecureContextOptions & {
  readonly rejectUnauthorized: false;
  readonly servername?: string;
  readonly ALPNProtocols?: string[];
} {
  return {
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    // An address is no server name (RFC 6066 §3).
    ...(isIP(place.host) === 0 && { servername: place.host }),
    ...(alpn !== undefined && { ALPNProtocols: [alpn] }),
    ...(credential && {
      cert: credential.chain.map((der) => toPem('CERTIFICATE', der)).join(''),
      ...credential.key.tls(),
    }),
  };
}
