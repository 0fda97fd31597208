// One request of a device on a connection of its own, and whether an answer came.
import type { KeyObject } from 'node:crypto';
import { request } from 'node:https';
import { toPem } from '../../../src/x509/pem.ts';
import { certificatesOf } from '../../server/est/est-server.ts';

/** Whom a device asks. */
export interface Door {
  readonly tlsUrl: string;
  readonly ca: Buffer;
}

/** The client certificate that it shows. */
export interface Shown {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

export interface DoorRequest {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes it a POST. */
  readonly body?: string;
  readonly shows?: Shown;
  /** Told when the handshake is over. */
  readonly onSecure?: () => void;
  /** So long it waits for a sign of life. */
  readonly silenceMs?: number;
}

export interface DoorAnswer {
  readonly status: number;
  readonly body: string;
}

// Who was between two processes when one of them died hears nothing at all.
const DEFAULT_SILENCE_MS = 5000;

/** Undefined where the connection broke, or was refused. */
export function askDoor(
  { tlsUrl, ca }: Door,
  {
    path,
    headers = {},
    body,
    shows,
    onSecure = () => undefined,
    silenceMs = DEFAULT_SILENCE_MS,
  }: DoorRequest,
): Promise<DoorAnswer | undefined> {
  const method = body === undefined ? 'GET' : 'POST';
  return new Promise((resolve) => {
    const sent = request(`${tlsUrl}${path}`, { method, ca, agent: false, headers, ...shows }, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.setTimeout(silenceMs, () => sent.destroy());
    sent.on('error', () => resolve(undefined));
    sent.on('socket', (socket) => socket.once('secureConnect', onSecure));
    sent.end(body);
  });
}

/** A request to an EST door. */
export function estRequest(
  operation: 'simpleenroll' | 'simplereenroll',
  csr: Buffer,
  { headers, ...rest }: Omit<DoorRequest, 'path' | 'body'>,
): DoorRequest {
  const type = { 'content-type': 'application/pkcs10' };
  const path = `/.well-known/est/${operation}`;
  return { path, body: csr.toString('base64'), headers: { ...headers, ...type }, ...rest };
}

/** The certificate of an EST answer, PEM; what came instead where it has none. */
export function certificateOf({ status, body }: DoorAnswer): string {
  const [der] = status === 200 ? certificatesOf(body) : [];
  return der ? toPem('CERTIFICATE', der) : `${status} ${body}`;
}

export const shown = (privateKey: KeyObject, cert: string): Shown => ({
  key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  cert,
});
