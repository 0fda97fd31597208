import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { BirthmarkError } from '../../core/errors.ts';
import type { Credential } from '../ports.ts';
import { dial } from './dial.ts';
import { lateStream } from './late-stream.ts';
import { openTls } from './open-tls.ts';
import { placeOf } from './place.ts';
import type { ProxyServer } from './proxy.ts';

export interface BrokerOptions {
  /** `mqtts://HOST[:PORT]`. */
  readonly url: string;
  readonly proxy?: ProxyServer;
  readonly credential: Credential;
  /** Roots that the broker's certificate must stand under, DER. */
  readonly anchors: readonly Uint8Array[];
  /** Milliseconds since the epoch: the time at which the broker's certificate must be valid. */
  readonly at: number;
  readonly timeoutMs: number;
}

const MQTTS_PORT = 8883;

/**
 * TLS with a broker, through a proxy where there is one, which then also resolves the name (MQTT 3.1.1 §5.4.10).
 *
 * @throws BirthmarkError `config-invalid`, `unavailable`, `proxy-failed`, `server-untrusted`
 */
export async function connectBroker(options: BrokerOptions): Promise<TLSSocket> {
  const { proxy, credential, anchors, at, timeoutMs } = options;
  const url = URL.parse(options.url);
  if (url?.protocol !== 'mqtts:' || url.hostname === '')
    throw new BirthmarkError('config-invalid', 'the broker must be a URL that begins with mqtts://');
  const place = placeOf(url, MQTTS_PORT);
  const signal = AbortSignal.timeout(timeoutMs);
  const connection = await dial(place, proxy, signal);
  const { socket } = await openTls(
    connection,
    { place, server: { anchors, at }, credential, alpn: 'mqtt' },
    signal,
  );
  return socket;
}

/** The same as a stream that is there at once: `new MqttClient(() => brokerStream(options), …)` of MQTT.js. */
export function brokerStream(options: BrokerOptions): Duplex {
  return lateStream(connectBroker(options));
}
