import { CRL_REASON, type CrlReasonName } from './crl-reason.ts';
import { TAG } from './der/tags.ts';
import { encodeTimeContent, isUtcTime } from './der/time.ts';

/** Entries of revokedCertificates (RFC 5280 §5.1) as they are written, one behind the other. */
export interface CrlEntries {
  /**
   * What a list says of one certificate. Times in milliseconds since the epoch.
   *
   * @param serial the octets of the serial number's INTEGER, at most 21, hexadecimal: a string is far cheaper than octets
   *   a million times
   * @param reason null: unspecified, which is never written (RFC 5280 §5.3.1)
   * @param invalidityAt since when the key may have been in other hands (RFC 5280 §5.3.2), if that is known
   */
  add(serial: string, revokedAt: number, reason: CrlReasonName | null, invalidityAt: number | null): void;
  /** Octets of all of them. */
  readonly size: number;
  /** Hands the octets over, in their order, and forgets them. */
  take(): Iterable<Uint8Array>;
}

/** reasonCode: SEQUENCE { OID 2.5.29.21, OCTET STRING { ENUMERATED } } up to the reason itself. */
const REASON_HEAD = Buffer.from('300a0603551d1504030a01', 'hex');
/** invalidityDate: SEQUENCE { OID 2.5.29.24, OCTET STRING { GeneralizedTime } } up to the time's content. */
const INVALIDITY_HEAD = Buffer.from('30180603551d180411180f', 'hex');
/** No entry is longer: with a serial of 21 octets and both extensions it has 82. */
const MOST = 96;
const SMALL_CHUNK = 16 * 1024;
const LARGE_CHUNK = 1024 * 1024;

/** Writes straight into few buffers, without an object an entry: a list may have a million. */
export function createCrlEntries(): CrlEntries {
  let full: Uint8Array[] = [];
  let chunk = Buffer.allocUnsafeSlow(SMALL_CHUNK);
  let at = 0;
  let before = 0;
  // Neighbours on a list were mostly taken back together, and say the same but for their serial.
  let tail: Uint8Array = Buffer.of();
  let tailOf:
    | readonly [revokedAt: number, reason: CrlReasonName | null, invalidityAt: number | null]
    | undefined;

  return {
    add(serial, revokedAt, reason, invalidityAt) {
      if (at + MOST > chunk.length) {
        full.push(chunk.subarray(0, at));
        before += at;
        chunk = Buffer.allocUnsafeSlow(LARGE_CHUNK);
        at = 0;
      }
      if (revokedAt !== tailOf?.[0] || reason !== tailOf[1] || invalidityAt !== tailOf[2]) {
        tail = encodeTail(revokedAt, reason, invalidityAt);
        tailOf = [revokedAt, reason, invalidityAt];
      }
      const octets = serial.length / 2;
      chunk[at] = TAG.sequence;
      chunk[at + 1] = 2 + octets + tail.length;
      chunk[at + 2] = TAG.integer;
      chunk[at + 3] = octets;
      at += 4;
      at += chunk.write(serial, at, octets, 'hex');
      chunk.set(tail, at);
      at += tail.length;
    },
    get size() {
      return before + at;
    },
    *take() {
      const all = [...full, chunk.subarray(0, at)];
      full = [];
      chunk = Buffer.allocUnsafeSlow(0);
      [at, before] = [0, 0];
      for (let next = all.shift(); next; next = all.shift()) yield next;
    },
  };
}

/** All of an entry behind its serial: when and why. */
function encodeTail(
  revokedAt: number,
  reason: CrlReasonName | null,
  invalidityAt: number | null,
): Uint8Array {
  const time = encodeTimeContent(revokedAt);
  const timeTag = isUtcTime(revokedAt) ? TAG.utcTime : TAG.generalizedTime;
  const extensions: Uint8Array[] = [];
  if (reason !== null) extensions.push(REASON_HEAD, Uint8Array.of(CRL_REASON[reason]));
  // GeneralizedTime whatever the year (RFC 5280 §5.3.2).
  if (invalidityAt !== null) extensions.push(INVALIDITY_HEAD, encodeTimeContent(invalidityAt, true));
  const content = Buffer.concat(extensions);
  const head = content.length === 0 ? [] : [Uint8Array.of(TAG.sequence, content.length), content];
  return Buffer.concat([Uint8Array.of(timeTag, time.length), time, ...head]);
}
