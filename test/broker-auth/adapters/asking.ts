// The gate's own listener in front of a lab, asked without a network: requests as the brokers were seen to send them.
import type { LightMyRequestResponse } from 'fastify';
import pino from 'pino';
import { createGateHttp } from '../../../src/broker-auth/http.ts';
import { mountDialects } from '../../../src/broker-auth/mount-dialects.ts';
import type { HttpConfig } from '../../../src/broker-auth/service-config.ts';
import { type Lab, type LabOptions, openLab } from '../lab.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Asking extends AsyncDisposable {
  readonly lab: Lab;
  readonly log: readonly string[];
  json(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  form(path: string, body: string): Promise<Answer>;
  /** Octets as they are. */
  raw(path: string, type: string, body: string): Promise<Answer>;
}

export const SECRET = 's3cret-of-the-broker';

export async function openAsking(http: HttpConfig, options: LabOptions = {}): Promise<Asking> {
  const lab = openLab(options);
  const log: string[] = [];
  const app = createGateHttp({
    dialects: mountDialects(http, { gate: lab.gate, clock: lab.clock.now, secretOf: () => SECRET }),
    logger: pino({}, { write: (line: string) => log.push(line) }),
    readiness: () => ({}),
    metrics: { contentType: 'text/plain', metrics: async () => '' },
  });
  await app.ready();
  const send = async (
    path: string,
    body: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> => {
    const response: Promise<LightMyRequestResponse> = app.inject({
      method: 'POST',
      url: path,
      payload: body,
      headers,
    });
    const { statusCode, body: text, headers: answered } = await response;
    return { status: statusCode, text, type: String(answered['content-type']), headers: answered };
  };
  return {
    lab,
    log,
    json: (path, body, headers = {}) =>
      send(path, JSON.stringify(body), { 'content-type': 'application/json', ...headers }),
    form: (path, body) => send(path, body, { 'content-type': 'application/x-www-form-urlencoded' }),
    raw: (path, type, body) => send(path, body, { 'content-type': type }),
    [Symbol.asyncDispose]: async () => {
      lab[Symbol.dispose]();
      await app.close();
    },
  };
}
