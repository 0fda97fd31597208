// A plain HTTP client that tells what came, also when the connection broke in the middle.
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Home } from '../../../src/cli/home.ts';
import { type Device, toLines } from './devices.ts';
import type { Serving } from './serving.ts';

export interface Reply {
  /** 0 where the connection broke before the answer's head. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly broken: boolean;
  /** What broke it. */
  readonly fault?: Error;
}

export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly bearer?: string;
  /** Told of each part of the answer's body when it comes. */
  readonly onPart?: (part: string) => void;
}

/** An answer to a line of a batch. */
export interface AnswerLine {
  readonly serialNumber?: string;
  readonly line?: number;
  readonly serial?: string;
  readonly certificate?: string;
  readonly error?: { readonly code: string; readonly detail: string };
}

export interface Client {
  send(target: string, options?: SendOptions): Promise<Reply>;
  /** Sends devices to the batch door. */
  batch(
    bearer: string,
    devices: readonly Device[],
    options?: SendOptions & { readonly profile?: string },
  ): Promise<Reply>;
  /** One device by ticket. */
  enroll(ticket: string, csr: string): Promise<Reply>;
  close(): void;
}

/**
 * A client of the TLS listener, with kept connections; a whole URL reaches another one.
 *
 * @param trusting takes any certificate: for servers that live in another time
 */
export function createClient(
  home: Home,
  { tlsUrl }: Pick<Serving, 'tlsUrl'>,
  { trusting = false } = {},
): Client {
  const ca = readFileSync(home.pem('root'));
  const agent = new Agent({ keepAlive: true, ca, maxSockets: 64, rejectUnauthorized: !trusting });
  const client: Client = {
    send: (target, { method = 'GET', headers = {}, body, bearer, onPart } = {}) =>
      new Promise((resolve) => {
        const url = new URL(target, tlsUrl);
        const secure = url.protocol === 'https:';
        const all = { ...headers, ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) };
        let text = '';
        let status = 0;
        let got: IncomingHttpHeaders = {};
        const finish = (fault?: Error) =>
          resolve({ status, headers: got, body: text, broken: fault !== undefined, ...(fault && { fault }) });
        const options = { method, headers: all, ...(secure ? { agent } : {}) };
        const sent = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
          status = response.statusCode ?? 0;
          got = response.headers;
          response.setEncoding('utf8');
          response.on('data', (part: string) => {
            text += part;
            onPart?.(part);
          });
          response.on('error', finish);
          response.on('end', () => finish());
        });
        sent.on('error', finish);
        sent.end(body);
      }),
    batch: (bearer, devices, { profile = 'idevid', ...options } = {}) =>
      client.send(`/api/v1/factory/batch?profile=${profile}`, {
        ...options,
        method: 'POST',
        bearer,
        headers: { ...options.headers, 'content-type': 'application/x-ndjson' },
        body: toLines(devices),
      }),
    enroll: (ticket, csr) =>
      client.send('/api/v1/enroll', {
        method: 'POST',
        bearer: ticket,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ csr }),
      }),
    close: () => agent.destroy(),
  };
  return client;
}

/** The whole lines of an answer. What follows the last line feed is half a line, or nothing. */
export function readLines({ body }: Reply): AnswerLine[] {
  return body
    .split('\n')
    .slice(0, -1)
    .map((text): AnswerLine => JSON.parse(text));
}

/** The code of a problem document. */
export function codeOf({ body }: Reply): string | undefined {
  try {
    const problem: { readonly code?: string } = JSON.parse(body);
    return problem.code;
  } catch {
    return undefined;
  }
}
