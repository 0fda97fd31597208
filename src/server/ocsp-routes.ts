import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OcspAnswer, OcspResponder } from '../ca/ocsp/responder.ts';
import { parseBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { isKnownTag } from './known-tag.ts';

const MOUNT = '/ocsp';
/** Far above twenty CertIDs; what is longer is refused before it is read. */
const MOST_OCTETS = 16_384;
/** What no OCSPRequest is: the responder says so in its own words. */
const NOTHING = new Uint8Array(0);

/** The responder over HTTP (RFC 6960 Appendix A, RFC 9919 §5 and §6). An OCSP error is an answer with status 200. */
export function addOcspRoutes(app: FastifyInstance, respond: OcspResponder): void {
  app.addContentTypeParser(
    'application/ocsp-request',
    { parseAs: 'buffer', bodyLimit: MOST_OCTETS },
    (_request, body, done) => done(null, body),
  );
  const answer = async (request: FastifyRequest, reply: FastifyReply, asked: Uint8Array) => {
    const given = respond(asked);
    return sendAnswer(request, reply, given instanceof Promise ? await given : given);
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

function sendAnswer(request: FastifyRequest, reply: FastifyReply, answer: OcspAnswer): FastifyReply {
  reply.headers(headersOf(answer));
  if (request.method !== 'POST' && isKnown(request, answer)) return reply.code(304).send();
  return reply.send(answer.der);
}

/** Conditions of RFC 9110 §13.1: a time counts where there is no tag, and where no other answer has the same. */
function isKnown({ headers }: FastifyRequest, answer: OcspAnswer): boolean {
  if (answer.kind === 'failure' || answer.digest === undefined) return false;
  const tags = headers['if-none-match'];
  if (tags !== undefined) return isKnownTag(`"${answer.digest}"`, tags);
  const since = headers['if-modified-since'];
  return since !== undefined && answer.isAlone && Date.parse(since) >= answer.thisUpdate;
}
