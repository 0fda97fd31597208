import type { Server } from 'node:https';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { AedesDoor } from './aedes-door.ts';

export interface WebSocketOptions {
  readonly server: Server;
  readonly door: AedesDoor;
  /** As the policy names it. */
  readonly listener: string;
  /** Other paths are refused. */
  readonly path: string;
}

/** MQTT packets may be cut across frames as one likes (MQTT 3.1.1 §6): a frame need not be large. */
const MAX_FRAME = 1024 * 1024;

/**
 * Speaks MQTT over WebSocket (MQTT 3.1.1 §6) on an HTTPS server.
 *
 * @returns ends the WebSockets that are open
 */
export function acceptWebSockets({ server, door, listener, path }: WebSocketOptions): () => void {
  const sockets = new WebSocketServer({
    server,
    path,
    maxPayload: MAX_FRAME,
    perMessageDeflate: false,
    clientTracking: true,
    // A client that asks for no protocol of ours does not speak MQTT.
    handleProtocols: (offered) => ['mqtt', 'mqttv3.1'].find((one) => offered.has(one)) ?? false,
  });
  server.on('secureConnection', (socket) => door.meet(socket));
  sockets.on('connection', (socket, request) => {
    if (socket.protocol === '') {
      // MQTT 3.1.1 §6: the subprotocol is "mqtt".
      socket.close(1002, 'the subprotocol is mqtt');
      return;
    }
    door.accept(listener, createWebSocketStream(socket), request);
  });
  return () => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  };
}
