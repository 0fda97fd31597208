import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { BirthmarkError } from '../../core/errors.ts';
import type { ShownCertificates } from '../../core/shown-certificates.ts';
import { type CanaryClient, connectPacket } from '../canary.ts';
import type { ProbeTarget } from './tls-offers.ts';

export interface Knock extends ProbeTarget {
  /** Without it, the client shows no certificate. */
  readonly client?: Pick<CanaryClient, 'certificate' | 'key'>;
  readonly clientId: string;
  /** Speaks without TLS. */
  readonly plain?: boolean;
  /** Of a connection before, to be resumed. */
  readonly session?: Buffer;
}

export interface Answer {
  readonly accepted: boolean;
  /** For people: a code of a CONNACK, an alert, or the end of the connection. */
  readonly how: string;
  /** What the broker showed. */
  readonly shown?: ShownCertificates;
  readonly session?: Buffer;
  readonly isResumed: boolean;
}

const WITHIN_MS = 5000;
const CONNACK = 0x20;
const DISCONNECT = Buffer.from([0xe0, 0]);

/**
 * Connects as a client of MQTT 3.1.1, and says what the broker answered and showed. Who it is, is not judged here.
 *
 * @throws BirthmarkError `unavailable` where nobody listens, or does not answer
 */
export function knock(options: Knock): Promise<Answer> {
  const { host, port, clientId } = options;
  return new Promise((resolve, reject) => {
    const socket = open(options);
    let session: Buffer | undefined;
    let shown: Answer['shown'];
    let isConnected = false;
    let isResumed = false;
    const finish = (accepted: boolean, how: string) => {
      clearTimeout(timer);
      if (accepted) socket.end(DISCONNECT);
      else socket.destroy();
      resolve({
        ...{ accepted, how, isResumed },
        ...(shown && { shown }),
        ...(session && { session }),
      });
    };
    const fail = (why: string, cause?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new BirthmarkError('unavailable', `the broker at ${host}:${port}: ${why}`, { cause }));
    };
    const timer = setTimeout(() => fail(`it does not answer within ${WITHIN_MS / 1000} s`), WITHIN_MS);
    const ready = () => {
      isConnected = true;
      if (socket instanceof TLSSocket) {
        shown = readShown(socket);
        isResumed = socket.isSessionReused();
      }
      socket.write(connectPacket(clientId));
    };
    socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', ready);
    socket.once('connect', () => {
      isConnected = true;
    });
    socket.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    socket.once('data', (octets: Buffer) => {
      const code = octets[0] === CONNACK ? octets[3] : undefined;
      // Tickets come in records of their own: those behind the CONNACK are read a turn later.
      setImmediate(() => finish(code === 0, code === undefined ? 'no CONNACK' : `CONNACK ${code}`));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (isConnected) finish(false, error.code ?? error.message);
      else fail(error.message, error);
    });
    socket.once('close', () => finish(false, 'it ended the connection'));
  });
}

function open({ host, port, serverName = host, client, plain, session }: Knock): Socket {
  if (plain) return connectTcp(port, host);
  return connectTls({
    ...{ host, port, rejectUnauthorized: false },
    servername: /^[\d.]+$|:/.test(serverName) ? '' : serverName,
    ...(client && { cert: client.certificate, key: client.key }),
    ...(session && { session }),
  });
}

function readShown(socket: TLSSocket): ShownCertificates | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  const chain: Uint8Array[] = [];
  for (let next = certificate.issuerCertificate; next; next = next.issuerCertificate) chain.push(next.raw);
  return { leaf: certificate.raw, chain };
}
