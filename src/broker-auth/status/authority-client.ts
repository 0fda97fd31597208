import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import Type from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { QUARANTINE_RESULTS, type QuarantineResult } from '../guard/quarantine-reporter.ts';
import { type Position, positionToText } from './position.ts';

export interface AuthorityOptions {
  /** The authority's TLS listener: `https://pki.example.com:8443`. Plain HTTP on this machine only. */
  readonly url: string;
  /** Of role `gate`; asked for each connection, so that a new one can be laid down. Or the key and certificate below. */
  readonly token?: () => string;
  readonly cert?: string;
  readonly key?: string;
  /** PEM of the root that the listener's certificate stands under. */
  readonly ca: string;
}

/** The authority, as a gate sees it. All of it rejects with `unavailable` where it does not answer as it should. */
export interface AuthorityClient {
  /** The octets of `GET /api/v1/status-feed` from behind that position on, for as long as it lasts. */
  openFeed(since: Position, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** The octets of `GET /api/v1/status-snapshot`, with the devices where they are asked for. */
  openSnapshot(signal: AbortSignal, holders: boolean): Promise<AsyncIterable<Uint8Array>>;
  /** `POST /api/v1/sightings`. */
  sendSightings(body: object, signal: AbortSignal): Promise<void>;
  /** `POST /api/v1/quarantines`; what came of each, in order. */
  sendQuarantines(body: object, signal: AbortSignal): Promise<readonly QuarantineResult[]>;
}

/** Several beats of the feed: who says nothing for so long is not there. */
const SILENT_MS = 10_000;
const ANSWER_OCTETS = 4096;

const parseQuarantines = schemaParser(
  Type.Object({ results: Type.Array(Type.Enum([...QUARANTINE_RESULTS])) }),
  'unavailable',
);

/** @throws BirthmarkError `config-invalid` for plain HTTP to another machine */
export function createAuthorityClient(options: AuthorityOptions): AuthorityClient {
  const { ca, token, cert, key } = options;
  const url = new URL(options.url);
  const isLocal = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal))
    throw new BirthmarkError(
      'config-invalid',
      'the authority is asked over https only: the token is a secret',
    );
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
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
          port: url.port,
          method,
          path: `${base}${path}`,
          ca,
          ...(cert !== undefined && { cert }),
          ...(key !== undefined && { key }),
          minVersion: 'TLSv1.2',
          agent: false,
          signal,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token()}` }),
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
          },
        },
        resolve,
      );
      sent.setTimeout(SILENT_MS, () => sent.destroy(new Error('it has said nothing for too long')));
      sent.on('error', (cause) => reject(unavailable(url, cause.message, cause)));
      sent.end(body);
    });
    if (answer.statusCode === 200 || answer.statusCode === 204) return answer;
    throw unavailable(url, `it answers ${answer.statusCode}${await problemOf(answer)}`);
  }

  return {
    openFeed: (since, signal) => ask('GET', `/status-feed?since=${positionToText(since)}`, signal),
    openSnapshot: (signal, holders) =>
      ask('GET', holders ? '/status-snapshot?holders=true' : '/status-snapshot', signal),
    async sendSightings(body, signal) {
      const answer = await ask('POST', '/sightings', signal, JSON.stringify(body));
      answer.resume();
    },
    async sendQuarantines(body, signal) {
      const answer = await ask('POST', '/quarantines', signal, JSON.stringify(body));
      return parseQuarantines(JSON.parse(await textOf(answer, ANSWER_OCTETS)), '').results;
    },
  };
}

async function textOf(answer: IncomingMessage, most: number): Promise<string> {
  let text = '';
  for await (const part of answer) {
    text += String(part);
    if (text.length > most) break;
  }
  return text;
}

async function problemOf(answer: IncomingMessage): Promise<string> {
  try {
    const problem: unknown = JSON.parse(await textOf(answer, ANSWER_OCTETS));
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
