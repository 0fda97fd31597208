import { CRL_REASON, type CrlReasonName } from './crl-reason.ts';
import { TAG } from './der/tags.ts';
import { encodeTimeContent, isUtcTime } from './der/time.ts';

/** What a list says of one certificate. Times in milliseconds since the epoch. */
export interface CrlEntryFields {
  /** The octets of the serial number's INTEGER, at most 21. */
  readonly serial: Uint8Array;
  readonly revokedAt: number;
  /** Absent: unspecified, which is never written (RFC 5280 §5.3.1). */
  readonly reason?: CrlReasonName;
  /** Since when the key may have been in other hands (RFC 5280 §5.3.2). */
  readonly invalidityAt?: number;
}

/** reasonCode: SEQUENCE { OID 2.5.29.21, OCTET STRING { ENUMERATED } } up to the reason itself. */
const REASON_HEAD = Buffer.from('300a0603551d1504030a01', 'hex');
/** invalidityDate: SEQUENCE { OID 2.5.29.24, OCTET STRING { GeneralizedTime } } up to the time's content. */
const INVALIDITY_HEAD = Buffer.from('30180603551d180411180f', 'hex');
const REASON_SIZE = REASON_HEAD.length + 1;
const INVALIDITY_SIZE = INVALIDITY_HEAD.length + 15;
/** No entry is longer: with a serial of 21 octets and both extensions it has 82. */
const MOST = 96;

/**
 * Entries of revokedCertificates (RFC 5280 §5.1), one behind the other. Written straight into one buffer: a list may
 * have a million.
 */
export function encodeCrlEntries(entries: readonly CrlEntryFields[]): Buffer {
  const out = Buffer.allocUnsafe(entries.length * MOST);
  let at = 0;
  for (const { serial, revokedAt, reason, invalidityAt } of entries) {
    const time = encodeTimeContent(revokedAt);
    const extensions =
      (reason === undefined ? 0 : REASON_SIZE) + (invalidityAt === undefined ? 0 : INVALIDITY_SIZE);
    const content = 2 + serial.length + 2 + time.length + (extensions === 0 ? 0 : 2 + extensions);
    at = header(out, at, TAG.sequence, content);
    at = octets(out, header(out, at, TAG.integer, serial.length), serial);
    const timeTag = isUtcTime(revokedAt) ? TAG.utcTime : TAG.generalizedTime;
    at = octets(out, header(out, at, timeTag, time.length), time);
    if (extensions === 0) continue;
    at = header(out, at, TAG.sequence, extensions);
    if (reason !== undefined) {
      at = octets(out, at, REASON_HEAD);
      out[at] = CRL_REASON[reason];
      at += 1;
    }
    // GeneralizedTime whatever the year (RFC 5280 §5.3.2).
    if (invalidityAt !== undefined)
      at = octets(out, octets(out, at, INVALIDITY_HEAD), encodeTimeContent(invalidityAt, true));
  }
  return out.subarray(0, at);
}

/** A tag with a length below 128. */
function header(out: Buffer, at: number, tag: number, length: number): number {
  out[at] = tag;
  out[at + 1] = length;
  return at + 2;
}

function octets(out: Buffer, at: number, content: Uint8Array): number {
  out.set(content, at);
  return at + content.length;
}
