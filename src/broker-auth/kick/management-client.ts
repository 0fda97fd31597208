import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BirthmarkError } from '../../core/errors.ts';

export interface ManagementOptions {
  /** Where the broker's management API is; plain HTTP on this machine only. */
  readonly url: URL;
  readonly user: string;
  readonly password: string;
  /** PEM of those who may certify it; those of the system where it is not given. */
  readonly ca?: string;
  readonly timeoutMs?: number;
}

export interface ManagementAnswer {
  readonly status: number;
  /** What the JSON says; undefined where there is none. */
  readonly body: unknown;
}

/** Asks a broker's management API. Rejects with `unavailable` where it does not answer, or refuses our credentials. */
export type AskBroker = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  extra?: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> },
) => Promise<ManagementAnswer>;

/** A broker asks us before it has the session, and RabbitMQ's list is some seconds late. */
export const LISTS_WITHIN_MS = 10_000;
const TIMEOUT_MS = 5000;
/** A list of some 100,000 connections. */
const MAX_OCTETS = 64 * 1024 * 1024;

/** A client of one management API. Its credentials are in the header of each request and nowhere else. */
export function createManagementClient(options: ManagementOptions): AskBroker {
  const { url, user, password, ca, timeoutMs = TIMEOUT_MS } = options;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
  const base = url.pathname.replace(/\/$/, '');
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;

  return async (method, path, { body, headers } = {}) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const answer = await new Promise<ManagementAnswer>((resolve, reject) => {
      const fail = (cause: unknown) => reject(unavailable(url, reasonOf(cause), cause));
      const sent = send(
        {
          host: url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port,
          path: `${base}${path}`,
          method,
          ...(ca !== undefined && { ca }),
          signal: AbortSignal.timeout(timeoutMs),
          headers: {
            authorization,
            accept: 'application/json',
            ...(payload !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
            ...headers,
          },
        },
        (response) => {
          readAll(response).then(
            (text) => resolve({ status: response.statusCode ?? 0, body: readJson(text) }),
            fail,
          );
        },
      );
      sent.on('error', fail);
      sent.end(payload);
    });
    if (answer.status === 401 || answer.status === 403)
      throw unavailable(url, `it refuses our credentials with ${answer.status}`);
    if (answer.status >= 500) throw unavailable(url, `it answers ${answer.status}`);
    return answer;
  };
}

/** @throws BirthmarkError `unavailable` where the answer's status is none of those */
export function expectStatus(answer: ManagementAnswer, what: string, ...wanted: readonly number[]): void {
  if (wanted.includes(answer.status)) return;
  throw new BirthmarkError('unavailable', `${what}: the broker answers ${answer.status}`);
}

async function readAll(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    const octets = Buffer.from(part);
    length += octets.length;
    if (length > MAX_OCTETS) throw new Error('the answer is too long');
    parts.push(octets);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Names the place and never the credentials. */
function unavailable({ protocol, host }: URL, why: string, cause?: unknown): BirthmarkError {
  return new BirthmarkError('unavailable', `the management API at ${protocol}//${host}: ${why}`, { cause });
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.message : String(cause);
}
