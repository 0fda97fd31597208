import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TlsOptions } from 'node:tls';
import type { FastifyBaseLogger } from 'fastify';
import type { AedesDoor } from '../../broker-auth/adapters/aedes/aedes-door.ts';
import { acceptWebSockets } from '../../broker-auth/adapters/aedes/web-socket.ts';
import type { ListenerPolicy } from '../../broker-auth/policy.ts';
import type { TlsDemand } from '../../broker-auth/presets.ts';
import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { keepDoorsFresh } from '../secure-door.ts';
import type { TlsIdentity } from '../tls-identity.ts';
import { TLS_POLICY } from '../tls-policy.ts';
import { MQTT_LISTENER, WEB_SOCKET_LISTENER } from './listener-names.ts';
import { checkServerKey } from './server-key.ts';

const WEB_SOCKET_PATH = '/mqtt';

/** A certificate for clients that ask for another name (SNI, RFC 6066 §3). */
export interface NamedIdentity {
  readonly serverName: string;
  readonly tls: TlsIdentity;
}

export interface MqttListenOptions {
  readonly door: AedesDoor;
  readonly tls: TlsIdentity;
  readonly names: readonly NamedIdentity[];
  readonly listeners: ReadonlyMap<string, ListenerPolicy>;
  readonly at: {
    readonly host: string;
    readonly port: number;
    /** Without it nobody speaks WebSocket. */
    readonly webSocketPort?: number;
  };
  readonly random: RandomBytes;
  readonly logger: FastifyBaseLogger;
}

export interface MqttListeners {
  readonly addresses: { readonly mqtt: string; readonly mqttWs?: string };
  close(): Promise<void>;
}

/**
 * Opens the broker's listeners: MQTT over TLS, and over WebSocket where that has a port. They speak as the policy of each
 * demands; who connects is judged behind the handshake, so that a device is told why it is denied.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid` where the broker's own keys are none that a preset takes
 */
export async function listenMqtt(options: MqttListenOptions): Promise<MqttListeners> {
  const { door, tls, names, listeners, at, random, logger } = options;
  const context = tls.read();
  for (const identity of [context, ...names.map((one) => one.tls.read())])
    for (const name of [MQTT_LISTENER, ...(at.webSocketPort === undefined ? [] : [WEB_SOCKET_LISTENER])])
      checkServerKey(listeners.get(name), identity);
  const optionsOf = (listener: string): TlsOptions => ({
    ...policyFor(listeners.get(listener)?.tls),
    ...context,
  });
  const opened: Server[] = [];
  let endWebSockets = (): void => undefined;
  const secure = createServer(optionsOf(MQTT_LISTENER), (socket) => door.accept(MQTT_LISTENER, socket));
  const doors = [freshDoor(secure, policyFor(listeners.get(MQTT_LISTENER)?.tls), random)];
  const close = async () => {
    endWebSockets();
    await Promise.all(opened.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  try {
    opened.push(secure);
    const port = await open(secure, at.host, at.port, 'mqtt');
    let webSocketPort: number | undefined;
    if (at.webSocketPort !== undefined) {
      const https = createHttpsServer(optionsOf(WEB_SOCKET_LISTENER), (_request, response) => {
        response.writeHead(426, { upgrade: 'websocket' }).end();
      });
      opened.push(https);
      endWebSockets = acceptWebSockets({
        server: https,
        door,
        listener: WEB_SOCKET_LISTENER,
        path: WEB_SOCKET_PATH,
      });
      doors.push(freshDoor(https, policyFor(listeners.get(WEB_SOCKET_LISTENER)?.tls), random));
      webSocketPort = await open(https, at.host, at.webSocketPort, 'mqtt-ws');
    }
    const stops = [
      keepDoorsFresh(doors, tls, logger),
      ...names.map((name) => serveName(opened, name, options)),
    ];
    const host = at.host.includes(':') ? `[${at.host}]` : at.host;
    return {
      addresses: {
        mqtt: `mqtts://${host}:${port}`,
        ...(webSocketPort !== undefined && { mqttWs: `wss://${host}:${webSocketPort}${WEB_SOCKET_PATH}` }),
      },
      close: () => {
        for (const stop of stops) stop();
        return close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What both our own policy and the preset allow, in our order. */
function policyFor(demand: TlsDemand | undefined): TlsOptions {
  if (!demand) return TLS_POLICY;
  const suites = TLS_POLICY.ciphers.split(':').filter((suite) => demand.cipherSuites.includes(suite));
  return {
    ...TLS_POLICY,
    minVersion: demand.minVersion,
    ciphers: suites.join(':'),
    ecdhCurve: demand.groups.join(':'),
  };
}

const TICKET_KEYS_OCTETS = 48;

function freshDoor(server: Server, policy: TlsOptions, random: RandomBytes) {
  return {
    renew: (next: SecureContextOptions) => server.setSecureContext({ ...policy, ...next }),
    changeTicketKeys: () => server.setTicketKeys(asBuffer(random(TICKET_KEYS_OCTETS))),
  };
}

/** Answers with another certificate where a client asks for that name. */
function serveName(
  servers: readonly Server[],
  { serverName, tls }: NamedIdentity,
  { listeners, logger }: MqttListenOptions,
): () => void {
  const add = (context: SecureContextOptions) => {
    for (const [at, server] of servers.entries()) {
      const policy = policyFor(listeners.get(at === 0 ? MQTT_LISTENER : WEB_SOCKET_LISTENER)?.tls);
      server.addContext(serverName, { ...policy, ...context });
    }
  };
  add(tls.read());
  return keepDoorsFresh([{ renew: add, changeTicketKeys: () => undefined }], tls, logger);
}

async function open(server: Server, host: string, port: number, name: string): Promise<number> {
  try {
    server.listen({ host, port });
    await once(server, 'listening');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    const hint =
      reason === 'EADDRINUSE'
        ? 'another program listens there; stop it, or choose another port (0 takes a free one)'
        : reason;
    throw new BirthmarkError('listen-failed', `the ${name} listener cannot open ${host}:${port}: ${hint}`, {
      cause,
    });
  }
  const address = server.address();
  return isAddress(address) ? address.port : port;
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
