import { once } from 'node:events';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { BirthmarkError } from '../../core/errors.ts';
import { createCertificateReader, isBounded } from '../../core/shown-certificates.ts';
import { readCertificate } from '../../x509/certificate.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import { toPem } from '../../x509/pem.ts';
import type { Credential } from '../ports.ts';
import { hostAndPort, type Place } from './place.ts';

/** What a server is held to. */
export interface ServerRules {
  /** Roots, DER. */
  readonly anchors: readonly Uint8Array[];
  /** Milliseconds since the epoch at which its certificates must be valid. */
  readonly at: number;
}

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

export interface JudgedServer {
  /** DER, its own certificate first. */
  readonly chain: readonly Uint8Array[];
  /** Milliseconds since the epoch: the end of its path. */
  readonly goodUntil: number;
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
    return { socket, ...(server && { server: judgeServer(socket, place, server) }) };
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

/**
 * Holds the other side of a connection to what it should be.
 *
 * @throws BirthmarkError `server-untrusted`
 */
function judgeServer(socket: TLSSocket, place: Place, { anchors, at }: ServerRules): JudgedServer {
  const shown = createCertificateReader()(socket);
  if (!shown || !isBounded(shown)) throw untrusted(place, 'it shows no certificate, or far too many');
  const chain = [shown.leaf, ...shown.chain];
  const judge = (time: number) =>
    validatePath(shown.leaf, {
      trust: openTrust({ anchors }),
      untrusted: shown.chain,
      at: time,
      purpose: 'serverAuth',
      peer: { kind: isIP(place.host) === 0 ? 'dns' : 'ip', value: place.host },
      possessionProven: true,
    });
  let verdict = judge(at);
  // What a CA of ours signed has begun: where it has not by our clock, that is behind. What has ended has ended.
  if (verdict.reason === 'notYetValid')
    verdict = judge(Math.max(at, ...[...chain, ...anchors].map(beginning)));
  if (verdict.reason === 'ok') return { chain, goodUntil: verdict.lookAgainAt };
  const clock =
    verdict.reason === 'expired' || verdict.reason === 'notYetValid'
      ? `; it was judged for ${new Date(at).toISOString()}: is this machine's clock right?`
      : '';
  throw untrusted(place, `${verdict.detail}${clock}`);
}

/** `notBefore`, milliseconds since the epoch; of what cannot be read, long ago. */
function beginning(der: Uint8Array): number {
  try {
    return readCertificate(der).tbs.notBefore.at;
  } catch (error) {
    if (error instanceof BirthmarkError) return 0;
    throw error;
  }
}

function untrusted(place: Place, why: string): BirthmarkError {
  return new BirthmarkError(
    'server-untrusted',
    `${hostAndPort(place)} is not the server that our roots vouch for: ${why}`,
  );
}
