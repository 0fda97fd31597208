import { isIPv4, isIPv6, type Socket } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import { ipAddressOctets } from '../../x509/ip-address.ts';
import type { Place } from './place.ts';
import type { ProxyServer } from './proxy.ts';
import { takeOctets } from './take-octets.ts';

const VERSION = 5;
const NO_AUTHENTICATION = 0x00;
const USER_PASSWORD = 0x02;
const CONNECT = 0x01;
const ADDRESS = { ipv4: 0x01, domain: 0x03, ipv6: 0x04 } as const;
const MAX_NAME = 255;

/** RFC 1928 §6. */
const REPLIES: readonly string[] = [
  'succeeded',
  'general failure',
  'its rules do not allow this connection',
  'the network cannot be reached',
  'the host cannot be reached, or has no such name',
  'the connection was refused',
  'the time to live ran out',
  'it does not know the command',
  'it does not know this type of address',
];

/**
 * Asks a SOCKS5 proxy (RFC 1928) for a connection: a name goes to it as a name, and it resolves it.
 *
 * @param socket connected to the proxy; what comes from it after this comes from the place
 * @throws BirthmarkError `proxy-failed`
 */
export async function connectSocks5(
  socket: Socket,
  place: Place,
  user: ProxyServer['user'],
  signal: AbortSignal,
): Promise<void> {
  const take = (size: number, what: string) => takeAll(socket, size, what, signal);
  const methods = user ? [NO_AUTHENTICATION, USER_PASSWORD] : [NO_AUTHENTICATION];
  socket.write(Uint8Array.of(VERSION, methods.length, ...methods));
  const [version, method] = await take(2, 'method');
  if (version !== VERSION) throw failed('does not speak SOCKS5');
  if (method === USER_PASSWORD && user) await authenticate(socket, user, take);
  else if (method !== NO_AUTHENTICATION)
    throw failed(user ? 'takes none of our ways to sign in' : 'wants a user and a password');
  socket.write(encodeConnect(place));
  const [replyVersion, reply = 1, , addressType] = await take(4, 'reply');
  if (replyVersion !== VERSION) throw failed('answers with another version');
  if (reply !== 0)
    throw failed(`does not connect to ${place.host}:${place.port}: ${REPLIES[reply] ?? `reply ${reply}`}`);
  // Where it is bound is of no use to us, and in front of what comes from the place.
  await take((await boundSize(addressType, take)) + 2, 'bound address');
}

/** RFC 1929 §2. */
async function authenticate(
  socket: Socket,
  { name, password }: NonNullable<ProxyServer['user']>,
  take: (size: number, what: string) => Promise<Buffer>,
): Promise<void> {
  const fields = [Buffer.from(name), Buffer.from(password)].flatMap((text) => [
    Uint8Array.of(text.length),
    text,
  ]);
  socket.write(Buffer.concat([Uint8Array.of(1), ...fields]));
  const [version, status] = await take(2, 'answer to the password');
  if (version !== 1 || status !== 0) throw failed('does not take this user and password');
}

/** RFC 1928 §4. */
export function encodeConnect({ host, port }: Place): Buffer {
  const address = ipAddressOctets(host);
  const name = Buffer.from(host);
  if (!address && name.length > MAX_NAME) throw failed(`cannot be asked for a name of ${name.length} octets`);
  const type = isIPv4(host) ? ADDRESS.ipv4 : isIPv6(host) ? ADDRESS.ipv6 : ADDRESS.domain;
  return Buffer.concat([
    Uint8Array.of(VERSION, CONNECT, 0, type),
    ...(address ? [address] : [Uint8Array.of(name.length), name]),
    Uint8Array.of(port >> 8, port & 0xff),
  ]);
}

async function boundSize(
  addressType: number | undefined,
  take: (size: number, what: string) => Promise<Buffer>,
): Promise<number> {
  if (addressType === ADDRESS.ipv4) return 4;
  if (addressType === ADDRESS.ipv6) return 16;
  if (addressType === ADDRESS.domain) return (await take(1, 'bound address'))[0] ?? 0;
  throw failed('answers with a type of address that SOCKS5 does not have');
}

async function takeAll(socket: Socket, size: number, what: string, signal: AbortSignal): Promise<Buffer> {
  const octets = await takeOctets(socket, size, signal);
  if (octets.length === size) return octets;
  throw failed(`closed the connection before its ${what} was whole`);
}

function failed(why: string): BirthmarkError {
  return new BirthmarkError('proxy-failed', `the SOCKS proxy ${why}`);
}
