import type { ErrorCode } from '../../core/errors.ts';
import type { EstAnswer } from './codec.ts';

/** An error as the server's problem documents tell it: what a client may read, and nothing else. */
export interface ToldError {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
}

export interface RefusalOptions {
  /** The realm of HTTP Basic authentication; absent where it is not offered (RFC 7030 §3.2.3). */
  readonly realm?: string;
  /** When a client may ask again that was told to wait. */
  readonly retryAfterSeconds: number;
  /** The methods of the address, for what came with another one. */
  readonly allow?: readonly string[];
}

/** Where EST says it otherwise: 404 is for an operation or label that is not there. */
const EST_STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  'profile-unknown': 404,
  'device-unknown': 403,
};

/**
 * An error in EST's own form: its status, and text that says what to do (RFC 7030 §4.2.3, RFC 8951 §5). A 401 must carry a
 * challenge (RFC 9110 §15.5.2), so it is a 403 where there is none to carry.
 */
export function refuse(error: ToldError, { realm, retryAfterSeconds, allow }: RefusalOptions): EstAnswer {
  const wanted = EST_STATUS[error.code] ?? error.status;
  const status = wanted === 401 && realm === undefined ? 403 : wanted;
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = `Basic realm=${quote(realm ?? '')}, charset="UTF-8"`;
  if (status === 405 && allow) headers.allow = allow.join(', ');
  if (status === 429 || status === 503) headers['retry-after'] = wholeSeconds(retryAfterSeconds);
  return textAnswer(status, headers, `${error.code}: ${error.detail}`);
}

/** 202: the request was understood and is not decided; the client sends it again, unchanged (RFC 7030 §4.2.3). */
export function pendingAnswer(retryAfterSeconds: number): EstAnswer {
  const seconds = wholeSeconds(retryAfterSeconds);
  return textAnswer(
    202,
    { 'retry-after': seconds },
    `not decided yet; send the same request again in ${seconds} seconds`,
  );
}

function textAnswer(status: number, headers: Readonly<Record<string, string>>, text: string): EstAnswer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body: `${text}\n` };
}

/** delta-seconds of RFC 9110 §10.2.3, at least one: a client that is told 0 asks in a circle. */
function wholeSeconds(seconds: number): string {
  return String(Math.max(1, Math.ceil(seconds)));
}

/** quoted-string of RFC 9110 §5.6.4; what does not fit into a header is left out. */
function quote(text: string): string {
  return `"${text.replace(/[^ -~]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
