// Somebody who follows the feed of a test server over a socket, and reads it as the HTML standard says.
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestServer } from '../test-server.ts';

export interface FeedData extends Readonly<Record<string, unknown>> {
  readonly epoch: string;
  readonly sequence: number;
  readonly at: string;
}

export interface FeedEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  /** As docs/status-feed.md has it; what an event lacks is undefined here, and a test sees that. */
  readonly data: FeedData;
}

export interface Follower {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly events: readonly FeedEvent[];
  readonly text: string;
  /** Whether the server has ended it, or the connection broke. */
  readonly ended: boolean;
  readonly response: IncomingMessage;
  /** The events of that kind, when there are so many. */
  until(event: string, count: number): Promise<readonly FeedEvent[]>;
  untilEnded(): Promise<void>;
  leave(): void;
}

const WITHIN_MS = 10_000;

/** The home's owner, who needs no token. */
export async function follow(
  server: TestServer,
  since?: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Follower> {
  const address = await listening(server);
  const query = since === undefined ? '' : `?since=${since}`;
  const [request, response] = await open(`${address}/api/v1/status-feed${query}`, headers);
  let text = '';
  let ended = false;
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    text += piece;
  });
  response.on('error', () => undefined);
  response.on('close', () => {
    ended = true;
  });
  const read = () => parse(text);
  const wait = async (isThere: () => boolean) => {
    const deadline = performance.now() + WITHIN_MS;
    while (!isThere()) {
      if (performance.now() > deadline) throw new Error(`it did not come; what came:\n${text.slice(-2000)}`);
      await sleep(5);
    }
  };
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    response,
    get events() {
      return read();
    },
    get text() {
      return text;
    },
    get ended() {
      return ended;
    },
    until: async (event, count) => {
      const those = () => read().filter((one) => one.event === event);
      await wait(() => those().length >= count);
      return those();
    },
    untilEnded: () => wait(() => ended),
    leave: () => request.destroy(),
  };
}

const addresses = new WeakMap<TestServer, Promise<string>>();

function listening(server: TestServer): Promise<string> {
  const opened = addresses.get(server) ?? server.local.listen({ host: '127.0.0.1', port: 0 });
  addresses.set(server, opened);
  return opened;
}

function open(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<[ClientRequest, IncomingMessage]> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false }, (response) => resolve([request, response]));
    request.on('error', reject);
  });
}

function parse(text: string): readonly FeedEvent[] {
  const whole = text.slice(0, text.lastIndexOf('\n\n') + 2);
  return whole.split('\n\n').flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
    const data = field('data');
    return data === undefined ? [] : [{ id: field('id'), event: field('event'), data: JSON.parse(data) }];
  });
}
