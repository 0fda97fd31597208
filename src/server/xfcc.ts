import { BirthmarkError } from '../core/errors.ts';

/** The keys of Envoy's X-Forwarded-Client-Cert, lower case; the value of each is not read but for two. */
const KEYS: ReadonlySet<string> = new Set(['by', 'hash', 'cert', 'chain', 'subject', 'uri', 'dns']);
/** These may be there several times. */
const REPEATED: ReadonlySet<string> = new Set(['by', 'uri', 'dns']);

/** A pair, in quotes or not; sticky. A quoted value has only quotes and backslashes escaped. */
const PAIR = /[ \t]*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;=]*))[ \t]*/y;

export interface XfccElement {
  /** PEM in URL encoding. */
  readonly cert?: string;
  readonly chain?: string;
}

/**
 * Reads the one element of an X-Forwarded-Client-Cert header. A proxy that clears what clients send has exactly one: more
 * mean that it appends, and then the first of them is whatever a client wrote.
 *
 * @throws BirthmarkError `bad-request`
 */
export function parseXfcc(value: string): XfccElement {
  const found = new Map<string, string>();
  for (let at = 0; at <= value.length; at += 1) {
    PAIR.lastIndex = at;
    const pair = PAIR.exec(value);
    if (!pair) throw refuse('is not a list of KEY=VALUE');
    const [all, name = '', quoted, plain = ''] = pair;
    const key = name.toLowerCase();
    if (!KEYS.has(key) || (found.has(key) && !REPEATED.has(key)))
      throw refuse('has a key twice, or one that Envoy does not have');
    found.set(key, quoted?.replace(/\\(.)/g, '$1') ?? plain);
    at += all.length;
    if (value[at] === ',') throw refuse('has several elements; configure the proxy to set it (SANITIZE_SET)');
    if (at < value.length && value[at] !== ';') throw refuse('is not a list of KEY=VALUE');
  }
  const cert = found.get('cert');
  const chain = found.get('chain');
  return { ...(cert === undefined ? {} : { cert }), ...(chain === undefined ? {} : { chain }) };
}

function refuse(why: string): BirthmarkError {
  return new BirthmarkError('bad-request', `the proxy's header x-forwarded-client-cert ${why}`, {
    field: 'x-forwarded-client-cert',
  });
}
