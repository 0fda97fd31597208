import { BirthmarkError } from '../../core/errors.ts';

/** A way out that goes over somebody else: every name is resolved there, never here. */
export interface ProxyServer {
  readonly kind: 'socks5' | 'http';
  readonly host: string;
  readonly port: number;
  /** Who we are to it; without it we come anonymously. */
  readonly user?: { readonly name: string; readonly password: string };
}

const KINDS = new Map<string, ProxyServer['kind']>([
  ['socks5h:', 'socks5'],
  ['http:', 'http'],
]);
const DEFAULT_PORT = { socks5: 1080, http: 80 } as const;

/**
 * Reads `socks5h://[USER@]HOST[:PORT]` or `http://[USER@]HOST[:PORT]`. `socks5://` is refused, since to most programs it means
 * that names are resolved on this machine (MQTT 3.1.1 §5.4.10 would have them resolved at the proxy).
 *
 * @param password belongs to the user; it is never part of the text, which others can read
 * @throws BirthmarkError `config-invalid`, with nothing of a password in it
 */
export function parseProxy(text: string, password?: string): ProxyServer {
  const url = URL.parse(text);
  const kind = url && KINDS.get(url.protocol);
  if (!url || !kind) throw invalid('must begin with socks5h:// (names are resolved at the proxy) or http://');
  if (url.password !== '')
    throw invalid('must not have a password in it, which others can read: give a file that holds it');
  if (url.hostname === '' || !['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '')
    throw invalid('must be a host and a port and nothing behind, as in socks5h://10.0.0.1:1080');
  const name = decodeURIComponent(url.username);
  if ((name === '') !== (password === undefined))
    throw invalid(
      name === '' ? 'has a password and no user: write USER@HOST' : 'has a user and no password file',
    );
  return {
    kind,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? DEFAULT_PORT[kind] : Number(url.port),
    ...(password !== undefined && { user: parseUser(name, password, kind) }),
  };
}

const MOST_OCTETS = 255;

/** RFC 1929 §2 has one octet for each length; RFC 7617 §2 parts name and password at the first colon. */
function parseUser(
  name: string,
  password: string,
  kind: ProxyServer['kind'],
): NonNullable<ProxyServer['user']> {
  for (const [part, text] of [
    ['user', name],
    ['password', password],
  ] as const) {
    const size = Buffer.byteLength(text);
    if (size < 1 || size > MOST_OCTETS || /\p{Cc}/u.test(text))
      throw invalid(`must have a ${part} of 1 to ${MOST_OCTETS} octets without control characters`);
  }
  if (kind === 'http' && name.includes(':')) throw invalid('must have a user without a colon (RFC 7617 §2)');
  return { name, password };
}

function invalid(rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `the proxy ${rule}`, { field: 'proxy' });
}
