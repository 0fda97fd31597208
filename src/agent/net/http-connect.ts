import type { Socket } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import { hostAndPort, type Place } from './place.ts';
import type { ProxyServer } from './proxy.ts';
import { takeOctets } from './take-octets.ts';

const MAX_HEAD = 8192;
const END_OF_HEAD = '\r\n\r\n';

/**
 * Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6); the name goes to it as a name.
 *
 * @param socket connected to the proxy; what comes from it after this comes from the place
 * @throws BirthmarkError `proxy-failed`
 */
export async function connectHttp(
  socket: Socket,
  place: Place,
  user: ProxyServer['user'],
  signal: AbortSignal,
): Promise<void> {
  const to = hostAndPort(place);
  const head = [`CONNECT ${to} HTTP/1.1`, `Host: ${to}`];
  if (user) {
    const credentials = Buffer.from(`${user.name}:${user.password}`).toString('base64');
    head.push(`Proxy-Authorization: Basic ${credentials}`);
  }
  socket.write(`${head.join('\r\n')}${END_OF_HEAD}`);
  const status = /^HTTP\/1\.[01] ([0-9]{3})(?: |\r)/.exec(await readHead(socket, signal))?.[1];
  if (status?.startsWith('2')) return;
  if (status === undefined) throw failed('does not speak HTTP');
  if (status === '407')
    throw failed(user ? 'does not take this user and password' : 'wants a user and a password');
  throw failed(`does not connect to ${to}: it answers ${status}`);
}

/** Octet by octet: what follows the head is the place's, and nobody else may have taken it. */
async function readHead(socket: Socket, signal: AbortSignal): Promise<string> {
  let head = '';
  while (!head.endsWith(END_OF_HEAD)) {
    const octet = await takeOctets(socket, 1, signal);
    if (octet.length === 0) throw failed('closed the connection before its answer was whole');
    head += octet.toString('latin1');
    if (head.length > MAX_HEAD) throw failed(`answers with a head of more than ${MAX_HEAD} octets`);
  }
  return head;
}

function failed(why: string): BirthmarkError {
  return new BirthmarkError('proxy-failed', `the HTTP proxy ${why}`);
}
