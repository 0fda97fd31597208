import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { OcspResponder } from '../ca/ocsp/responder.ts';
import type { OcspAnswer } from '../ca/ocsp/sign-answer.ts';
import { createBoundedMap } from '../core/bounded-map.ts';
import type { OcspLimit } from './ocsp-limit.ts';
import { ocspHeadersOf, toOcspReply } from './ocsp-reply.ts';
import { MOST_OCTETS, MOUNT, NOTHING, REQUEST_TYPE, readTarget } from './ocsp-target.ts';

/** Paths that are known with the request in them, and how long such a one may be. */
const MOST_TARGETS = 10_000;
const TARGET_CHARACTERS = 400;

export interface OcspFirstOptions {
  readonly respond: OcspResponder;
  /** Who may have another signature. */
  readonly mayHave: OcspLimit;
  /** Until a body must be there. */
  readonly bodyMs: number;
}

/**
 * Answers well-formed OCSP traffic before the framework sees it, which would halve the rate of what is kept anyway. All else
 * goes on to the routes of `addOcspRoutes`.
 */
export function answerOcspFirst(app: FastifyInstance, { respond, mayHave, bodyMs }: OcspFirstOptions): void {
  const { server } = app;
  const others = server.listeners('request');
  server.removeAllListeners('request');
  const targets = createBoundedMap<Uint8Array>(MOST_TARGETS);
  const bodies = createBodyReader(app, bodyMs);
  const answer = (request: IncomingMessage, response: ServerResponse, asked: Uint8Array): boolean => {
    const given = respond(asked, (use) => mayHave(request.socket.remoteAddress, use));
    if (given instanceof Promise) void given.then((settled) => send(request, response, settled));
    else send(request, response, given);
    return !(given instanceof Promise) && given.kind === 'answer';
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { method, url = '' } = request;
    if (method === 'GET' && url.startsWith(`${MOUNT}/`)) {
      const before = targets.get(url);
      const asked = before ?? readTarget(url);
      const isKept = answer(request, response, asked);
      if (isKept && !before && url.length <= TARGET_CHARACTERS) targets.put(url, new Uint8Array(asked));
    } else if (method === 'POST' && url === MOUNT && isPlainRequest(request))
      bodies(request, response, (asked) => answer(request, response, asked));
    else for (const listener of others) listener.call(server, request, response);
  });
}

/** What every client sends; the framework has words for the others. */
function isPlainRequest({ headers }: IncomingMessage): boolean {
  return (
    headers['content-type'] === REQUEST_TYPE &&
    headers['content-encoding'] === undefined &&
    Number(headers['content-length']) <= MOST_OCTETS
  );
}

/** An answer as it is written: one text, head and body in one write. */
interface Written {
  /** Names and values in turn. */
  readonly headers: string[];
  /** An octet a character. */
  readonly body: string;
}

const written = new WeakMap<OcspAnswer, Written>();

function send(request: IncomingMessage, response: ServerResponse, answer: OcspAnswer): void {
  if (request.method === 'GET' && isConditional(request)) {
    const { status, headers, body } = toOcspReply(answer, request.method, request.headers);
    response.writeHead(status, body ? { ...headers, 'content-length': body.length } : headers).end(body);
    return;
  }
  let ready = written.get(answer);
  if (!ready) {
    const headers = { ...ocspHeadersOf(answer), 'content-length': answer.der.length };
    ready = {
      headers: Object.entries(headers).flatMap(([name, value]) => [name, String(value)]),
      body: answer.der.toString('latin1'),
    };
    // Nobody else gets the answer to a nonce.
    if (answer.kind === 'failure' || answer.digest !== undefined) written.set(answer, ready);
  }
  response.writeHead(200, ready.headers).end(ready.body, 'latin1');
}

function isConditional({ rawHeaders }: IncomingMessage): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name !== undefined && name.length >= 13 && /^if-/i.test(name)) return true;
  }
  return false;
}

type BodyReader = (
  request: IncomingMessage,
  response: ServerResponse,
  done: (body: Uint8Array) => void,
) => void;

/** Reads bodies whose length is known and small. One that trickles in is not waited for. */
function createBodyReader(app: FastifyInstance, bodyMs: number): BodyReader {
  /** Since when whose body is awaited; in this order. A timer for each would cost more than all else. */
  const awaited = new Map<IncomingMessage, { readonly response: ServerResponse; readonly since: number }>();
  const sweep = setInterval(
    () => {
      const now = performance.now();
      for (const [request, { response, since }] of awaited) {
        if (now - since < bodyMs) break;
        awaited.delete(request);
        request.removeAllListeners('data');
        response.writeHead(408, { connection: 'close' }).end();
      }
    },
    Math.ceil(bodyMs / 4),
  ).unref();
  app.addHook('onClose', async () => clearInterval(sweep));
  return (request, response, done) => {
    let body: Buffer = NOTHING;
    awaited.set(request, { response, since: performance.now() });
    request.on('data', (piece: Buffer) => {
      body = body.length === 0 ? piece : Buffer.concat([body, piece]);
    });
    request.once('end', () => {
      if (awaited.delete(request)) done(body);
    });
    request.once('close', () => awaited.delete(request));
  };
}
