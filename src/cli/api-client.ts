import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { BirthmarkError, ERROR_CODES, type ErrorCode } from '../core/errors.ts';
import { loadConfig } from './config/load-config.ts';
import type { Home } from './home.ts';

export type Method = 'GET' | 'POST' | 'DELETE';

/** The local API, as commands see it: paths below /api/v1. Throws the BirthmarkError that the API answered. */
export type CallApi = (method: Method, path: string, body?: object) => Promise<unknown>;

interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * Runs a command against the home: through the Unix socket of a running `serve`, or, where none runs, against the same
 * routes in this process.
 *
 * @throws BirthmarkError as the API answers, or as `openHouse`
 */
export async function withApi<T>(
  home: Home,
  environment: NodeJS.ProcessEnv,
  work: (call: CallApi) => Promise<T>,
): Promise<T> {
  const loaded = loadConfig(home.config);
  if (existsSync(home.socket) && (await isAnswered(home.socket))) {
    return work(async (method, path, body) => readAnswer(await overSocket(home.socket, method, path, body)));
  }
  // The whole house is only loaded where no server has it already.
  const { openHouse } = await import('./wire.ts');
  const { createLogger } = await import('./logger.ts');
  const { createLocalApi } = await import('../server/api-app.ts');
  const { apiOptions } = await import('./serve/house-options.ts');
  const house = await openHouse(home, loaded, environment);
  try {
    const app = await createLocalApi({ ...apiOptions(house), logger: createLogger('error') });
    return await work(async (method, path, body) => {
      const injected: Promise<{ statusCode: number; body: string }> = app.inject({
        method,
        url: `/api/v1${path}`,
        ...(body && { payload: body }),
      });
      const answer = await injected;
      return readAnswer({ status: answer.statusCode, body: answer.body });
    });
  } finally {
    house.close();
  }
}

/**
 * The API of a gate that stands alone, over its own Unix socket.
 *
 * @throws BirthmarkError (the call) `unavailable` where no gate answers there, or as the gate answers
 */
export function gateApi(socketPath: string): CallApi {
  return async (method, path, body) => {
    try {
      return readAnswer(await overSocket(socketPath, method, path, body));
    } catch (cause) {
      if (cause instanceof BirthmarkError) throw cause;
      const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      throw new BirthmarkError(
        'unavailable',
        `no gate answers on ${socketPath} (${reason}); does birthmark broker-auth serve run with this configuration, and may you connect there?`,
        { cause },
      );
    }
  };
}

/** A socket that nobody answers is what a killed `serve` left. */
async function isAnswered(socketPath: string): Promise<boolean> {
  try {
    await overSocket(socketPath, 'GET', '/tokens?limit=1');
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false;
    throw new BirthmarkError(
      'home-in-use',
      `a server of this home is there and does not answer on ${socketPath}; does it belong to this user?`,
      {
        cause: error,
      },
    );
  }
}

function overSocket(socketPath: string, method: Method, path: string, body?: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const payload = body && JSON.stringify(body);
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const sent = request(
      { socketPath, method, path: `/api/v1${path}`, headers, timeout: 60_000 },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    sent.on('timeout', () =>
      sent.destroy(new BirthmarkError('unavailable', 'the server did not answer within a minute')),
    );
    sent.on('error', reject);
    sent.end(payload);
  });
}

function readAnswer({ status, body }: Answer): unknown {
  const value: unknown = body === '' ? undefined : JSON.parse(body);
  if (status >= 200 && status < 300) return value;
  throw problemToError(value, status);
}

/** The error behind a problem document (RFC 9457) of ours. */
export function problemToError(problem: unknown, status: number): BirthmarkError {
  const members = typeof problem === 'object' && problem !== null ? problem : {};
  const detail =
    'detail' in members && typeof members.detail === 'string'
      ? members.detail
      : `the server answered ${status}`;
  const code =
    'code' in members ? ERROR_CODES.find((known): known is ErrorCode => known === members.code) : undefined;
  return new BirthmarkError(
    code ?? 'internal',
    detail,
    'field' in members ? { field: String(members.field) } : {},
  );
}
