import type { TLSSocket } from 'node:tls';
import { type BrokerOptions, connectBroker } from '../net/broker-stream.ts';
import { takeOctets } from '../net/take-octets.ts';
import type { ProbeVerdict } from '../ports.ts';
import { verdictOfError } from './verdict-of-error.ts';

const PROTOCOL = Buffer.from('\0\u0004MQTT\u0004', 'latin1');
const CLEAN_SESSION = 0x02;
const KEEP_ALIVE_SECONDS = 30;
const CONNACK = 0x20;
const DISCONNECT = Uint8Array.of(0xe0, 0);
/** Return codes of MQTT 3.1.1 §3.2.2.3 that speak against who connects; the others pass. */
const REFUSALS = new Map([
  [2, 'the ClientId is not taken'],
  [4, 'bad user name or password'],
  [5, 'not authorized'],
]);

/**
 * Connects to a broker as the device would, and leaves again. A ClientId that is in use elsewhere is taken over
 * (MQTT 3.1.1 §3.1.4): take another one where the broker allows it, or where the device's own client is connected.
 *
 * It is refused where the broker says so: by an alert against the certificate, which in TLS 1.3 comes after the handshake is over
 * on this side, or by a CONNACK against the ClientId or the user. It is unclear where the broker is not reached, is not who it
 * should be, cannot serve now, or ends or resets the connection without a word, as one does that is being restarted; so do also
 * brokers that judge certificates without telling TLS (Node's `rejectUnauthorized` is one), for which a command must verify.
 */
export async function probeMqtt(clientId: string, options: BrokerOptions): Promise<ProbeVerdict> {
  try {
    const code = await connectOnce(await connectBroker(options), clientId, options.timeoutMs);
    if (code === 0) return { kind: 'accepted' };
    const why = code === undefined ? 'closes the connection' : (REFUSALS.get(code) ?? `return code ${code}`);
    const kind = code !== undefined && REFUSALS.has(code) ? 'refused' : 'unclear';
    return { kind, detail: `the broker says to the new certificate: ${why}` };
  } catch (error) {
    const verdict = verdictOfError(error);
    return { ...verdict, detail: `the broker: ${verdict.detail}` };
  }
}

/** MQTT 3.1.1 §3.1. */
function encodeConnect(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const rest = Buffer.concat([
    PROTOCOL,
    Uint8Array.of(CLEAN_SESSION, 0, KEEP_ALIVE_SECONDS, id.length >> 8, id.length & 0xff),
    id,
  ]);
  const length = rest.length < 128 ? [rest.length] : [(rest.length & 0x7f) | 0x80, rest.length >> 7];
  return Buffer.concat([Uint8Array.of(0x10, ...length), rest]);
}

/** The return code; undefined where the connection ends without one. */
async function connectOnce(
  socket: TLSSocket,
  clientId: string,
  timeoutMs: number,
): Promise<number | undefined> {
  let broken: Error | undefined;
  socket.on('error', (error) => {
    broken = error;
  });
  try {
    socket.write(encodeConnect(clientId));
    const answer = await takeOctets(socket, 4, AbortSignal.timeout(timeoutMs));
    if (broken) throw broken;
    if (answer.length < 4 || answer[0] !== CONNACK || answer[1] !== 2) return undefined;
    socket.end(DISCONNECT);
    return answer[3];
  } finally {
    socket.destroySoon();
  }
}
