import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OcspResponder } from '../ca/ocsp/responder.ts';
import type { OcspAnswer } from '../ca/ocsp/sign-answer.ts';
import { parseBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { isKnownTag } from './known-tag.ts';

const MOUNT = '/ocsp';
/** Far above twenty CertIDs; what is longer is refused before it is read. */
const MOST_OCTETS = 16_384;
/** What no OCSPRequest is: the responder says so in its own words. */
const NOTHING = Buffer.alloc(0);
const REQUEST_TYPE = 'application/ocsp-request';

/** The responder over HTTP (RFC 6960 Appendix A, RFC 9919 §5 and §6). An OCSP error is an answer with status 200. */
export function addOcspRoutes(app: FastifyInstance, respond: OcspResponder): void {
  app.addContentTypeParser(
    REQUEST_TYPE,
    { parseAs: 'buffer', bodyLimit: MOST_OCTETS },
    (_request, body, done) => done(null, body),
  );
  const answer = async (request: FastifyRequest, reply: FastifyReply, asked: Uint8Array) => {
    const given = respond(asked);
    const settled = given instanceof Promise ? await given : given;
    const { status, headers, body } = toReply(settled, request.method, request.headers);
    return reply.code(status).headers(headers).send(body);
  };
  for (const url of [MOUNT, `${MOUNT}/`]) {
    app.post<{ Body: unknown }>(url, (request, reply) =>
      answer(request, reply, request.body instanceof Uint8Array ? request.body : NOTHING),
    );
  }
  app.get(`${MOUNT}/*`, (request, reply) => answer(request, reply, readTarget(request.raw.url ?? '')));
}

/**
 * The request in a path: base64, of which each character may be percent-encoded. Read from the target as it came, since
 * slashes that belong to it must be neither joined nor taken for separators. It begins with M, because a SEQUENCE does: any
 * slash before that is from the joining of URLs.
 */
function readTarget(target: string): Uint8Array {
  const text = target.slice(MOUNT.length).replace(/^\/+/, '');
  try {
    return parseBase64(text.includes('%') ? decodeURIComponent(text) : text, 'request');
  } catch (error) {
    if (error instanceof BirthmarkError || error instanceof URIError) return NOTHING;
    throw error;
  }
}

type Headers = Readonly<Record<string, string | number>>;

const TYPE = 'application/ocsp-response';
const UNSTORED: Headers = { 'content-type': TYPE, 'cache-control': 'no-store' };
/** Of a nonce's answer: nobody else can use it, and no-store is not allowed on what an authority said (RFC 9919 §7.2). */
const FOR_ONE: Headers = {
  'content-type': TYPE,
  'cache-control': 'max-age=0, no-transform, must-revalidate',
};
/** An answer that is kept goes out many times. */
const headersOfAnswers = new WeakMap<OcspAnswer, Headers>();

function headersOf(answer: OcspAnswer): Headers {
  if (answer.kind === 'failure') return UNSTORED;
  if (answer.digest === undefined) return FOR_ONE;
  let headers = headersOfAnswers.get(answer);
  if (headers === undefined) {
    headers = {
      'content-type': TYPE,
      'last-modified': toHttpTime(answer.thisUpdate),
      expires: toHttpTime(answer.nextUpdate),
      'cache-control': `max-age=${answer.maxAgeSeconds}, public, no-transform, must-revalidate`,
      etag: `"${answer.digest}"`,
    };
    headersOfAnswers.set(answer, headers);
  }
  return headers;
}

function toHttpTime(milliseconds: number): string {
  return new Date(milliseconds).toUTCString();
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer | undefined;
}

function toReply(answer: OcspAnswer, method: string | undefined, asked: IncomingHttpHeaders): Reply {
  const headers = headersOf(answer);
  if (method !== 'POST' && isKnown(asked, answer)) return { status: 304, headers, body: undefined };
  return { status: 200, headers, body: answer.der };
}

/** Conditions of RFC 9110 §13.1: a time counts where there is no tag, and where no other answer has the same. */
function isKnown(asked: IncomingHttpHeaders, answer: OcspAnswer): boolean {
  if (answer.kind === 'failure' || answer.digest === undefined) return false;
  const tags = asked['if-none-match'];
  if (tags !== undefined) return isKnownTag(`"${answer.digest}"`, tags);
  const since = asked['if-modified-since'];
  return since !== undefined && answer.isAlone && Date.parse(since) >= answer.thisUpdate;
}

/**
 * Answers well-formed OCSP traffic before the framework sees it, which would halve the rate of what is kept anyway. All else
 * goes on to the routes of `addOcspRoutes`.
 *
 * @param bodyMs until a body must be there
 */
export function answerOcspFirst(app: FastifyInstance, respond: OcspResponder, bodyMs: number): void {
  const { server } = app;
  const others = server.listeners('request');
  server.removeAllListeners('request');
  const answer = (request: IncomingMessage, response: ServerResponse, asked: Uint8Array) => {
    const send = (given: OcspAnswer) => {
      const { status, headers, body } = toReply(given, request.method, request.headers);
      response.writeHead(status, body ? { ...headers, 'content-length': body.length } : headers).end(body);
    };
    const given = respond(asked);
    if (given instanceof Promise) void given.then(send);
    else send(given);
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { method, url = '' } = request;
    if (method === 'GET' && url.startsWith(`${MOUNT}/`)) answer(request, response, readTarget(url));
    else if (method === 'POST' && url === MOUNT && isPlainRequest(request))
      readBody(request, response, bodyMs, (asked) => answer(request, response, asked));
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

/** A body whose length is known and small. One that trickles in is not waited for. */
function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bodyMs: number,
  done: (body: Uint8Array) => void,
): void {
  let body: Buffer = NOTHING;
  const timer = setTimeout(() => {
    request.removeAllListeners('data');
    response.writeHead(408, { connection: 'close' }).end();
  }, bodyMs);
  request.on('data', (piece: Buffer) => {
    body = body.length === 0 ? piece : Buffer.concat([body, piece]);
  });
  request.once('end', () => {
    clearTimeout(timer);
    if (!response.headersSent) done(body);
  });
  request.once('error', () => clearTimeout(timer));
  request.once('close', () => clearTimeout(timer));
}
