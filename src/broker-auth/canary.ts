import { connect as connectTls } from 'node:tls';
import { BirthmarkError } from '../core/errors.ts';

/** A client whose only purpose is to try the broker's door. */
export interface CanaryClient {
  readonly clientId: string;
  /** PEM: its certificate, with the CAs above it where the broker does not have them. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
}

export interface CanaryTarget {
  readonly host: string;
  readonly port: number;
  /** PEM: who issued the broker's certificate. */
  readonly ca: string;
  /** The name in the broker's certificate, where it is not the host. */
  readonly serverName?: string;
}

export type CanaryAnswer = 'accepted' | 'denied';

/** What two canaries found. `open`: who must be denied got in, so the check is not asked; `shut`: nobody gets in. */
export type CanaryFinding = 'good' | 'open' | 'shut' | 'unreachable';

const WITHIN_MS = 5000;
const CONNACK = 0x20;
/** MQTT 3.1.1, clean session, no will, no username, 10 s. */
const CONNECT_HEAD = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 10]);
const DISCONNECT = Buffer.from([0xe0, 0]);

/**
 * Tries both: one whose certificate is always denied, and one that is allowed. Nothing else proves that a broker asks: an
 * option that switches a plugin off is silent.
 */
export async function probeCanaries(
  target: CanaryTarget,
  denied: CanaryClient,
  allowed: CanaryClient,
): Promise<CanaryFinding> {
  try {
    if ((await probeCanary(target, denied)) === 'accepted') return 'open';
    return (await probeCanary(target, allowed)) === 'accepted' ? 'good' : 'shut';
  } catch (error) {
    if (error instanceof BirthmarkError) return 'unreachable';
    throw error;
  }
}

/**
 * Connects and says what the broker answered. A handshake that the broker breaks off is a denial.
 *
 * @throws BirthmarkError `unavailable` where the broker cannot be reached, is not who it should be, or does not answer
 */
function probeCanary(target: CanaryTarget, client: CanaryClient): Promise<CanaryAnswer> {
  return new Promise((resolve, reject) => {
    const { host, port, ca, serverName = host } = target;
    const { certificate: cert, key } = client;
    let met = false;
    const socket = connectTls({
      host,
      port,
      ca,
      cert,
      key,
      servername: serverName.match(/^[\d.:]+$/) ? '' : serverName,
    });
    const fail = (cause?: Error) =>
      reject(
        new BirthmarkError(
          'unavailable',
          `the canary cannot reach ${host}:${port}: ${cause?.message ?? 'no answer'}`,
          {
            cause,
          },
        ),
      );
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
    };
    const timer = setTimeout(() => {
      end();
      fail();
    }, WITHIN_MS);
    socket.on('secureConnect', () => {
      met = true;
      socket.write(connectPacket(client.clientId));
    });
    socket.once('data', (octets: Buffer) => {
      const accepted = octets[0] === CONNACK && octets[3] === 0;
      // A clean end: the broker is not to take the canary for a broken line.
      if (accepted) socket.end(DISCONNECT);
      else socket.destroy();
      clearTimeout(timer);
      resolve(accepted ? 'accepted' : 'denied');
    });
    socket.on('error', (error) => {
      end();
      // In TLS 1.3 a client hears of the server's refusal after its own handshake; in TLS 1.2 as an alert within it.
      if (met || isAlert(error)) resolve('denied');
      else fail(error);
    });
    socket.on('close', () => {
      end();
      if (met) resolve('denied');
      else fail();
    });
  });
}

function isAlert(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('ERR_SSL_');
}

/**
 * A CONNECT of MQTT 3.1.1 that asks for nothing.
 *
 * @throws BirthmarkError `config-invalid` for a ClientId of more than 115 octets
 */
export function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const length = CONNECT_HEAD.length + 2 + id.length;
  // One octet is enough for a length of so many.
  if (length > 127)
    throw new BirthmarkError('config-invalid', 'the ClientId of a canary has more than 115 octets', {
      field: 'clientId',
    });
  return Buffer.concat([Uint8Array.of(0x10, length), CONNECT_HEAD, Uint8Array.of(0, id.length), id]);
}
