import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import { connectHttp } from './http-connect.ts';
import { hostAndPort, type Place } from './place.ts';
import type { ProxyServer } from './proxy.ts';
import { connectSocks5 } from './socks5.ts';

/**
 * A TCP connection to a place, or through a proxy to it. Through a proxy, the place's name is never looked up here.
 *
 * @param signal ends the attempt; a connection that was made is not touched by it
 * @throws BirthmarkError `unavailable`, `proxy-failed`
 */
export async function dial(
  place: Place,
  proxy: ProxyServer | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const first = proxy ?? place;
  const socket = connect({ host: first.host, port: first.port, noDelay: true });
  try {
    await once(socket, 'connect', { signal });
    if (proxy) {
      const ask = proxy.kind === 'socks5' ? connectSocks5 : connectHttp;
      await ask(socket, place, proxy.user, signal);
    }
    return socket;
  } catch (cause) {
    socket.on('error', () => undefined);
    socket.destroy();
    if (cause instanceof BirthmarkError) throw cause;
    const why = signal.aborted ? 'no answer in time' : cause instanceof Error ? cause.message : String(cause);
    const what = proxy ? `the proxy ${hostAndPort(proxy)}` : hostAndPort(place);
    throw new BirthmarkError(proxy ? 'proxy-failed' : 'unavailable', `${what} cannot be reached: ${why}`, {
      cause,
    });
  }
}
