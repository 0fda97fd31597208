import type { Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/** How long a client has to close its side behind the last answer of its connection. */
const LINGER_MS = 2000;

/**
 * Has a client that ends its sending side with its request (close_notify, RFC 8446 §6.1; FIN) get the whole answer. Node
 * would end our side too and drop answers that are not begun; and where it closes while something of the client's is
 * unread, be it that close_notify, the system resets the connection and the client loses what it has not read yet.
 * So we end our side behind the last answer, and close when the client has (RFC 9112 §9.6), or in two seconds.
 *
 * A half-closed connection with no answer under way is closed at once, and one that takes nothing by the server's
 * `timeout`. An answer that has no end of its own must look for the client's by itself.
 *
 * @param server not listening yet
 */
export function answerHalfClosed(server: Server | SecureServer): void {
  // Node has no option for it. An answer that is under way is marked as the last one, and closes.
  Object.assign(server, { httpAllowHalfOpen: true });
  // Not as the server's own option: who hangs up in the middle of a handshake is to be gone at once.
  const ready = server instanceof TlsServer ? 'secureConnection' : 'connection';
  server.on(ready, (socket: Socket) => {
    socket.allowHalfOpen = true;
    socket.destroySoon = () => linger(socket);
  });
}

/** What still comes is read and thrown away: it was asked on a connection that had its last answer. */
function linger(socket: Socket): void {
  socket.removeAllListeners('data');
  socket.on('data', () => undefined).resume();
  socket.end(() => {
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
  });
}
