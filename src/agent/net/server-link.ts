import { BirthmarkError } from '../../core/errors.ts';
import type { Credential } from '../ports.ts';
import type { Timekeeper } from '../timekeeper.ts';
import { dial } from './dial.ts';
import { exchange, type Question, type Reply } from './exchange.ts';
import type { JudgedServer } from './judge-server.ts';
import { openTls } from './open-tls.ts';
import { placeOf } from './place.ts';
import type { ProxyServer } from './proxy.ts';

export interface LinkOptions {
  /** `https://HOST[:PORT][/PATH]`, below which everything is. */
  readonly url: URL;
  readonly proxy?: ProxyServer;
  /** Roots, DER, as they are at the moment. */
  readonly anchors: () => readonly Uint8Array[];
  readonly time: Timekeeper;
  readonly timeoutMs: number;
}

/** Asks the server over a connection of its own each time, as the holder of a credential where one is given. */
export type Ask = (
  question: Question,
  credential?: Credential,
) => Promise<Reply & { readonly server: JudgedServer }>;

const HTTPS_PORT = 443;
const MOST_REDIRECTS = 3;
/** RFC 9110 §15.4. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const KEEPS_METHOD: ReadonlySet<number> = new Set([307, 308]);

/** @throws BirthmarkError `config-invalid` for any other URL than https */
export function parseServerUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' && url.username === '' && url.password === '' && url.search === '')
    return url;
  throw new BirthmarkError(
    'config-invalid',
    'the server must be a URL that begins with https://, as in https://pki.example.com:8443',
    { field: 'url' },
  );
}

/**
 * The way to one server. The server is judged before anything is said to it, and its `Date` is heard. A redirect is followed
 * to the same scheme, host and port only (RFC 7030 §3.2.1); what is behind another one is somebody else's. One that would
 * make a POST into a GET (301, 302, 303) is none for us: nothing would be enrolled by it.
 *
 * @returns an `Ask` that throws BirthmarkError `unavailable`, `proxy-failed`, `server-untrusted`, `answer-refused`
 */
export function createServerLink({ url, proxy, anchors, time, timeoutMs }: LinkOptions): Ask {
  const place = placeOf(url, HTTPS_PORT);
  const base = url.pathname.replace(/\/$/, '');

  async function askOnce(
    question: Question,
    credential?: Credential,
  ): Promise<Reply & { readonly server: JudgedServer }> {
    const signal = AbortSignal.timeout(timeoutMs);
    const connection = await dial(place, proxy, signal);
    const rules = { anchors: anchors(), at: time.now() };
    const { socket, server } = await openTls(
      connection,
      { place, server: rules, ...(credential && { credential }) },
      signal,
    );
    if (!server) throw new BirthmarkError('internal', 'a server was not judged');
    const reply = await exchange(socket, place, question, signal);
    const date = Date.parse(reply.headers.date ?? '');
    if (!Number.isNaN(date)) time.heard(date, server.goodUntil);
    return { ...reply, server };
  }

  return async (question, credential) => {
    let path = `${base}${question.path}`;
    for (let hops = 0; ; hops += 1) {
      const reply = await askOnce({ ...question, path }, credential);
      const { location } = reply.headers;
      if (!REDIRECTS.has(reply.status) || location === undefined) return reply;
      const target = URL.parse(location, `${url.origin}${path}`);
      const where = `${url.host} redirects ${question.method} ${path} to ${target?.href ?? 'no address'}`;
      if (target?.origin !== url.origin)
        throw refused(`${where}, where we do not go: if that is right, give its URL`);
      if (!KEEPS_METHOD.has(reply.status) && question.method === 'POST')
        throw refused(
          `${where} with status ${reply.status}, after which nothing is sent again: it must be 307 or 308`,
        );
      if (hops === MOST_REDIRECTS) throw refused(`${where}, after ${MOST_REDIRECTS} redirects before it`);
      path = `${target.pathname}${target.search}`;
    }
  };
}

function refused(why: string): BirthmarkError {
  return new BirthmarkError('answer-refused', why);
}
