import { type KeyObject, sign, verify } from 'node:crypto';
import { OctetWriter } from './octet-writer.ts';

const MAGIC = 'BMKSNAP1';
const BASE_MAGIC = 'BMKBASE1';
/** Magic and the length of the body. */
const HEADER_OCTETS = 12;
const SIGNATURE_OCTETS = 64;

/** The end of what never ends. */
export const NO_END = 2n ** 64n - 1n;

/** A session of a certificate that began before is to end; the certificate itself is not denied. */
export interface Kick {
  readonly certificate: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly before: number;
}

export interface SnapshotContent {
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  readonly validUntil: number | bigint;
  readonly epoch: string;
  readonly sequence: number;
  /** SHA-256 of the base's file. */
  readonly baseHash: Uint8Array;
  /** What differs from the base: sorted digests behind each other. */
  readonly addedCertificates: Uint8Array;
  readonly removedCertificates: Uint8Array;
  readonly addedKeys: Uint8Array;
  readonly removedKeys: Uint8Array;
  readonly kicks: readonly Kick[];
  /** See `CompiledPolicy.encode`. */
  readonly policy: Uint8Array;
}

/** A snapshot's file, signed; integrations/mosquitto/README.md has its form. */
export function encodeSnapshot(content: SnapshotContent, key: KeyObject): Buffer {
  const body = new OctetWriter()
    .number(content.issuedAt, 8)
    .number(content.validUntil, 8)
    .number(content.sequence, 8)
    .text(content.epoch, 1)
    .octets(content.baseHash);
  writeDigests(body, content.addedCertificates);
  writeDigests(body, content.removedCertificates);
  writeDigests(body, content.addedKeys);
  writeDigests(body, content.removedKeys);
  body.list(content.kicks, 4, ({ certificate, before }) => body.octets(certificate).number(before, 8));
  body.text(content.policy, 4);
  const signed = new OctetWriter().octets(Buffer.from(MAGIC)).text(body.finish(), 4).finish();
  return new OctetWriter()
    .octets(signed)
    .text(sign(null, signed, key), 2)
    .finish();
}

/** The bulk of what is denied, which snapshots name by its hash. */
export function encodeBase(certificates: Uint8Array, keys: Uint8Array): Buffer {
  const to = new OctetWriter().octets(Buffer.from(BASE_MAGIC));
  writeDigests(to, certificates);
  writeDigests(to, keys);
  return to.finish();
}

function writeDigests(to: OctetWriter, digests: Uint8Array): void {
  to.number(digests.length / 16, 4).octets(digests);
}

/**
 * When the snapshot was issued, in milliseconds since the epoch; undefined for what is no snapshot that this key signed.
 *
 * @param key the public half
 */
export function issuedAtOf(file: Uint8Array, key: KeyObject): number | undefined {
  const octets = Buffer.from(file);
  if (octets.length < HEADER_OCTETS + 8 + 2 + SIGNATURE_OCTETS) return undefined;
  const end = octets.length - SIGNATURE_OCTETS - 2;
  if (!verify(null, octets.subarray(0, end), key, octets.subarray(end + 2))) return undefined;
  return Number(octets.readBigUInt64BE(HEADER_OCTETS));
}
