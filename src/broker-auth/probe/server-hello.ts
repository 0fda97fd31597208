import { VERSIONS } from './tls-names.ts';

/** What a server chose of what it was offered. */
export interface Chosen {
  readonly version: number;
  readonly suite: number;
  /** Of the key exchange; absent where that has none. */
  readonly group?: number;
  /** It asks for a client's certificate: seen in TLS 1.2 and before only, what is behind a ServerHello of TLS 1.3 is encrypted. */
  readonly asksForCertificate?: boolean;
  /** It would give a ticket: as above. */
  readonly givesTicket?: boolean;
}

export type HelloAnswer = Chosen | { readonly alert: number };

const CHANGE_CIPHER_SPEC = 20;
const ALERT = 21;
const HANDSHAKE = 22;
const MESSAGE = {
  serverHello: 2,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
} as const;
const EXTENSION = { sessionTicket: 35, supportedVersions: 43, keyShare: 51 } as const;
const NAMED_CURVE = 3;

/**
 * Reads the first flight of a server, as far as it has come.
 *
 * @returns undefined where more is to come
 * @throws RangeError for what is no TLS
 */
export function readServerFlight(octets: Buffer): HelloAnswer | undefined {
  const { handshake, alert } = readRecords(octets);
  let chosen: Chosen | undefined;
  for (let at = 0; at + 4 <= handshake.length; ) {
    const length = handshake.readUIntBE(at + 1, 3);
    const body = handshake.subarray(at + 4, at + 4 + length);
    if (body.length < length) break;
    const type = handshake[at];
    at += 4 + length;
    if (type === MESSAGE.serverHello) {
      chosen = readServerHello(body);
      if (chosen.version === VERSIONS['TLSv1.3']) return chosen;
    } else if (!chosen) throw new RangeError('the first message of the handshake is no ServerHello');
    else if (type === MESSAGE.serverKeyExchange && body[0] === NAMED_CURVE)
      chosen = { ...chosen, group: body.readUInt16BE(1) };
    else if (type === MESSAGE.certificateRequest) chosen = { ...chosen, asksForCertificate: true };
    else if (type === MESSAGE.serverHelloDone) return chosen;
  }
  return alert === undefined ? undefined : { alert };
}

function readRecords(octets: Buffer): { readonly handshake: Buffer; readonly alert?: number } {
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= octets.length; ) {
    const type = octets[at];
    const length = octets.readUInt16BE(at + 3);
    const content = octets.subarray(at + 5, at + 5 + length);
    // What follows a HelloRetryRequest for the sake of old boxes on the way (RFC 8446 §D.4).
    if (type === CHANGE_CIPHER_SPEC && at > 0) break;
    if ((type !== ALERT && type !== HANDSHAKE) || octets[at + 1] !== 3)
      throw new RangeError('what it answers is no TLS');
    if (content.length < length) break;
    if (type === ALERT) return { handshake: Buffer.concat(parts), alert: content[1] ?? 0 };
    parts.push(content);
    at += 5 + length;
  }
  return { handshake: Buffer.concat(parts) };
}

/** RFC 8446 §4.1.3; a HelloRetryRequest has the same form. */
function readServerHello(body: Buffer): Chosen {
  const sessionIdLength = body.readUInt8(34);
  const suite = body.readUInt16BE(35 + sessionIdLength);
  const begin = 35 + sessionIdLength + 3;
  const chosen = { version: body.readUInt16BE(0), suite, asksForCertificate: false, givesTicket: false };
  if (begin >= body.length) return chosen;
  const end = begin + 2 + body.readUInt16BE(begin);
  let told: Chosen = chosen;
  for (let at = begin + 2; at + 4 <= end; ) {
    const type = body.readUInt16BE(at);
    const length = body.readUInt16BE(at + 2);
    const content = body.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    if (type === EXTENSION.sessionTicket) told = { ...told, givesTicket: true };
    if (type === EXTENSION.supportedVersions)
      told = { version: content.readUInt16BE(0), suite, ...groupOf(told) };
    if (type === EXTENSION.keyShare) told = { ...told, group: content.readUInt16BE(0) };
  }
  return told;
}

function groupOf({ group }: Chosen): { readonly group?: number } {
  return group === undefined ? {} : { group };
}
