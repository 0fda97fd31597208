import type { IncomingHttpHeaders } from 'node:http';
import type { OcspAnswer } from '../ca/ocsp/sign-answer.ts';
import { isKnownTag } from './known-tag.ts';

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

/** Content-Type, and what RFC 9919 §7.2 wants caches to know. */
export function ocspHeadersOf(answer: OcspAnswer): Headers {
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

export interface OcspReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer | undefined;
}

/** An OCSP answer over HTTP (RFC 9919 §6, §7.2); 304 where the client has it. An OCSP error is an answer with status 200. */
export function toOcspReply(
  answer: OcspAnswer,
  method: string | undefined,
  asked: IncomingHttpHeaders,
): OcspReply {
  const headers = ocspHeadersOf(answer);
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
