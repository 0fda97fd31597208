// A management API of a broker that holds clients, as its documentation and its source have it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createManagementClient } from '../../../src/broker-auth/kick/management-client.ts';
import type { Session } from '../../../src/broker-auth/sessions.ts';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly body: unknown;
  readonly headers: IncomingMessage['headers'];
}

export interface ManagementApi extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
  readonly ask: ReturnType<typeof createManagementClient>;
}

export const PASSWORD = 'p4ssword-of-the-api';

export type Respond = (asked: Asked) => readonly [number, unknown?];

export async function managementApi(respond: Respond): Promise<ManagementApi> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request) text += String(part);
    const { method = '', url = '', headers } = request;
    const one: Asked = { method, url, headers, body: text === '' ? undefined : JSON.parse(text) };
    asked.push(one);
    const [status, body] = respond(one);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const place = server.address();
  const port = typeof place === 'object' && place !== null ? place.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    ask: createManagementClient({
      url: new URL(`http://127.0.0.1:${port}/`),
      user: 'gate',
      password: PASSWORD,
      timeoutMs: 500,
    }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function session(clientId: string, id = clientId): Session {
  return {
    broker: 'test',
    listener: 'mqtt',
    clientId,
    identity: { namespace: 'own', id },
    credentials: [],
    since: 0,
    until: 1,
    untilBy: 'credential',
  };
}
