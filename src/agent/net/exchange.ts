import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { BirthmarkError } from '../../core/errors.ts';
import { hostAndPort, type Place } from './place.ts';

export interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made when the connection stands, since it may be bound to it. */
  readonly body?: (socket: TLSSocket) => Uint8Array;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A CA's certificates, with a chain or two beside them. */
const MAX_BODY = 256 * 1024;

/**
 * One question and its answer over a TLS connection, which is closed then. A body that is too long, and an answer that is not
 * whole in time, are none.
 *
 * @throws BirthmarkError `unavailable`, `answer-refused`
 */
export async function exchange(
  socket: TLSSocket,
  place: Place,
  { method, path, headers, body }: Question,
  signal: AbortSignal,
): Promise<Reply> {
  try {
    const payload = body?.(socket);
    return await new Promise<Reply>((resolve, reject) => {
      const sent = httpRequest(
        {
          createConnection: () => socket,
          method,
          path,
          setHost: false,
          signal,
          headers: {
            host: hostAndPort(place),
            connection: 'close',
            ...headers,
            ...(payload && { 'content-length': payload.length }),
          },
        },
        (answer) => {
          const parts: Buffer[] = [];
          let size = 0;
          answer.on('data', (part: Buffer) => {
            size += part.length;
            if (size > MAX_BODY) answer.destroy(tooLong(place));
            else parts.push(part);
          });
          answer.on('error', reject);
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
          );
        },
      );
      sent.on('error', reject);
      sent.end(payload);
    });
  } catch (cause) {
    if (cause instanceof BirthmarkError) throw cause;
    const why = signal.aborted ? 'no answer in time' : cause instanceof Error ? cause.message : String(cause);
    throw new BirthmarkError('unavailable', `${hostAndPort(place)} does not answer: ${why}`, { cause });
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

function tooLong(place: Place): BirthmarkError {
  return new BirthmarkError(
    'answer-refused',
    `${hostAndPort(place)} answers with more than ${MAX_BODY} octets`,
  );
}
