import { Agent, request } from 'node:https';
import { BirthmarkError, type ErrorCode } from '../../core/errors.ts';
import { problemToError } from '../api-client.ts';

export interface BatchClientOptions {
  readonly url: string;
  readonly token: string;
  /** PEM. */
  readonly ca: string;
  readonly profile: string;
  readonly connections: number;
}

/** Sends lines, returns the answered lines, as many as came. A broken connection gives those that were whole. */
export interface BatchClient {
  send(lines: readonly Buffer[]): Promise<{ readonly answers: readonly string[]; readonly broken?: Error }>;
  close(): void;
}

/**
 * A server that is busy answers some lines at least every few seconds. One whose worker was killed while it was handed this
 * connection answers nothing and does not close it either; then another connection must be tried.
 */
const IDLE_MS = 20_000;
const LINE_FEED = Buffer.from('\n');

/** What may be different the next time. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ledger-busy',
  'ledger-full',
  'ledger-failed',
  'clock-went-back',
  'too-many-requests',
  'body-too-slow',
  'unavailable',
  'internal',
]);

export function mayBeRetried(code: string): boolean {
  return [...PASSING].some((passing) => passing === code);
}

export function createBatchClient({ url, token, ca, profile, connections }: BatchClientOptions): BatchClient {
  const target = URL.parse(`/api/v1/factory/batch?profile=${encodeURIComponent(profile)}`, url);
  if (target === null)
    throw new BirthmarkError('bad-request', `--url ${url} is no URL (example: https://127.0.0.1:8443)`);
  if (target.protocol !== 'https:')
    throw new BirthmarkError(
      'bad-request',
      '--url must begin with https:// (a token must not travel in the clear)',
    );
  const agent = new Agent({ keepAlive: true, maxSockets: connections, ca });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' };
  return {
    close: () => agent.destroy(),
    send: (lines) =>
      new Promise((resolve, reject) => {
        const body = Buffer.concat(lines.flatMap((line) => [line, LINE_FEED]));
        let text = '';
        const finish = (broken?: Error) => {
          const answers = text.split('\n');
          // What follows the last line feed is half a line, or nothing.
          answers.pop();
          resolve({ answers, ...(broken && { broken }) });
        };
        const sent = request(
          target,
          { method: 'POST', agent, headers: { ...headers, 'content-length': body.length }, timeout: IDLE_MS },
          (response) => {
            response.setEncoding('utf8');
            response.on('data', (part: string) => {
              text += part;
            });
            response.on('error', finish);
            response.on('end', () => {
              if (response.statusCode === 200) finish();
              else reject(toError(text, response.statusCode ?? 0));
            });
          },
        );
        sent.on('timeout', () => sent.destroy(new Error('nothing came for 20 seconds')));
        sent.on('error', (error) => (isWrongServer(error) ? reject(wrongServer(error)) : finish(error)));
        sent.end(body);
      }),
  };
}

function toError(text: string, status: number): BirthmarkError {
  try {
    return problemToError(JSON.parse(text), status);
  } catch {
    return new BirthmarkError(
      status >= 500 ? 'unavailable' : 'bad-request',
      `the server answered ${status} and not as Birthmark does`,
    );
  }
}

/** A certificate that does not chain to --ca, or for another name: waiting does not mend that. */
function isWrongServer(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|ERR_SSL|EPROTO|ENOTFOUND/.test(code);
}

function wrongServer(cause: Error): BirthmarkError {
  return new BirthmarkError(
    'bad-request',
    `the server is not the one that --url and --ca describe: ${cause.message}`,
    { cause },
  );
}
