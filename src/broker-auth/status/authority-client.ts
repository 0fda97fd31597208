import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { BirthmarkError } from '../../core/errors.ts';
import { type Position, positionToText } from './position.ts';

export interface AuthorityOptions {
  /** The authority's TLS listener, https. */
  readonly url: URL;
  /** PEM of those who may certify it. */
  readonly ca: string;
  /** Of role `gate`; or the key and certificate below. */
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Without a word from it for so long a connection counts as lost. */
  readonly idleMs?: number;
}

/** The authority, as a gate sees it. All of it rejects with `unavailable` where it does not answer as it should. */
export interface AuthorityClient {
  /** The octets of `GET /api/v1/status-feed` from behind that position on, for as long as it lasts. */
  openFeed(since: Position, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** The octets of `GET /api/v1/status-snapshot`. */
  openSnapshot(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** `POST /api/v1/sightings`. */
  sendSightings(body: object, signal: AbortSignal): Promise<void>;
}

/** The feed says something every two seconds. */
const IDLE_MS = 15_000;
const PROBLEM_OCTETS = 4096;

export function createAuthorityClient(options: AuthorityOptions): AuthorityClient {
  const { url, ca, token, cert, key, idleMs = IDLE_MS } = options;
  const base = `${url.pathname.replace(/\/$/, '')}/api/v1`;

  async function ask(
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    body?: string,
  ): Promise<IncomingMessage> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(
        {
          host: url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port || 443,
          method,
          path: `${base}${path}`,
          ca,
          ...(cert !== undefined && { cert }),
          ...(key !== undefined && { key }),
          minVersion: 'TLSv1.2',
          agent: false,
          signal,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
          },
        },
        resolve,
      );
      sent.setTimeout(idleMs, () => sent.destroy(new Error(`nothing came for ${idleMs / 1000} s`)));
      sent.on('error', (cause) => reject(unavailable(url, cause.message, cause)));
      sent.end(body);
    });
    if (answer.statusCode === 200 || answer.statusCode === 204) return answer;
    throw unavailable(url, `it answers ${answer.statusCode}${await problemOf(answer)}`);
  }

  return {
    openFeed: (since, signal) => ask('GET', `/status-feed?since=${positionToText(since)}`, signal),
    openSnapshot: (signal) => ask('GET', '/status-snapshot', signal),
    async sendSightings(body, signal) {
      const answer = await ask('POST', '/sightings', signal, JSON.stringify(body));
      answer.resume();
    },
  };
}

async function problemOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const part of answer) {
      text += String(part);
      if (text.length > PROBLEM_OCTETS) break;
    }
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null && 'detail' in problem
      ? `: ${String(problem.detail)}`
      : '';
  } catch {
    return '';
  }
}

function unavailable({ host }: URL, why: string, cause?: unknown): BirthmarkError {
  return new BirthmarkError('unavailable', `the authority at ${host}: ${why}`, { cause });
}
