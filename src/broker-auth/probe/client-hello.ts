import type { RandomBytes } from '../../core/random.ts';
import { SIGNATURES, VERSIONS } from './tls-names.ts';

/** What a client says that it can, and nothing beside it. Numbers of the IANA registries. */
export interface Offer {
  readonly version: number;
  readonly suites: readonly number[];
  readonly groups: readonly number[];
  /** Not an address (RFC 6066 §3). */
  readonly serverName?: string;
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const EMPTY_RENEGOTIATION_INFO = 0x00ff;

/**
 * A ClientHello in its record (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). For TLS 1.3 it has no key share: a server that likes a group then
 * asks for it (RFC 8446 §4.1.4), which says what it would take without an exchange of keys.
 */
export function encodeClientHello(offer: Offer, random: RandomBytes): Buffer {
  const { version, suites, groups, serverName } = offer;
  const isLatest = version === VERSIONS['TLSv1.3'];
  const extensions = Buffer.concat([
    serverName === undefined
      ? Buffer.alloc(0)
      : extension(0, vector(2, Buffer.concat([Buffer.of(0), vector(2, Buffer.from(serverName, 'latin1'))]))),
    extension(10, vector(2, numbers(groups))),
    extension(11, vector(1, Buffer.of(0))),
    extension(13, vector(2, numbers(SIGNATURES))),
    extension(23, Buffer.alloc(0)),
    extension(35, Buffer.alloc(0)),
    ...(isLatest
      ? [
          extension(43, vector(1, numbers([version]))),
          extension(45, vector(1, Buffer.of(1))),
          extension(51, vector(2, Buffer.alloc(0))),
        ]
      : []),
  ]);
  const body = Buffer.concat([
    numbers([Math.min(version, VERSIONS['TLSv1.2'])]),
    random(32),
    vector(1, isLatest ? random(32) : Buffer.alloc(0)),
    vector(2, numbers([...suites, EMPTY_RENEGOTIATION_INFO])),
    vector(1, Buffer.of(0)),
    vector(2, extensions),
  ]);
  const message = Buffer.concat([Buffer.of(CLIENT_HELLO), vector(3, body)]);
  // The record of a first flight (RFC 8446 §5.1).
  const recordVersion = Math.min(version, VERSIONS['TLSv1.0']);
  return Buffer.concat([Buffer.of(HANDSHAKE), numbers([recordVersion]), vector(2, message)]);
}

function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([numbers([type]), vector(2, content)]);
}

function numbers(all: readonly number[]): Buffer {
  return Buffer.from(all.flatMap((one) => [one >> 8, one & 0xff]));
}

function vector(lengthOctets: 1 | 2 | 3, content: Uint8Array): Buffer {
  const length = Buffer.alloc(lengthOctets);
  length.writeUIntBE(content.length, 0, lengthOctets);
  return Buffer.concat([length, content]);
}
