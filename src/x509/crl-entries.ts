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
/** Extensions of an entry without invalidityDate. */
const REASONS: ReadonlyMap<string | null, Uint8Array> = new Map(
  Object.entries(CRL_REASON).map(([name, number]) => [name, encodeExtensions(number, null)]),
);
const NOTHING = Buffer.of();
const SMALL_CHUNK = 16 * 1024;
const LARGE_CHUNK = 1024 * 1024;

/** Writes straight into few buffers, without an object an entry: a list may have a million. */
export function createCrlEntries(): CrlEntries {
  let full: Uint8Array[] = [];
  let chunk = Buffer.allocUnsafeSlow(SMALL_CHUNK);
  let at = 0;
  let before = 0;
  // Many were taken back within one second, for few reasons.
  let time: Uint8Array = Buffer.of();
  let timeOf: number | undefined;

  return {
    add(serial, revokedAt, reason, invalidityAt) {
      if (at + MOST > chunk.length) {
        full.push(chunk.subarray(0, at));
        before += at;
        chunk = Buffer.allocUnsafeSlow(LARGE_CHUNK);
        at = 0;
      }
      if (revokedAt !== timeOf) {
        time = encodeRevocationDate(revokedAt);
        timeOf = revokedAt;
      }
      const extensions =
        invalidityAt === null
          ? (REASONS.get(reason) ?? NOTHING)
          : encodeExtensions(reason === null ? undefined : CRL_REASON[reason], invalidityAt);
      const octets = serial.length / 2;
      chunk[at] = TAG.sequence;
      chunk[at + 1] = 2 + octets + time.length + extensions.length;
      chunk[at + 2] = TAG.integer;
      chunk[at + 3] = octets;
      at += 4;
      at += chunk.write(serial, at, octets, 'hex');
      chunk.set(time, at);
      at += time.length;
      chunk.set(extensions, at);
      at += extensions.length;
    },
    get size() {
      return before + at;
    },
    *take() {
      const all = [...full, chunk.subarray(0, at)];
      full = [];
      chunk = Buffer.allocUnsafeSlow(0);
      [at, before] = [0, 0];
      for (const next of all) {
        yield next;
        // Given back at once, not when the collector comes: of a large list all of it is in memory once more by now.
        if (next.buffer instanceof ArrayBuffer) next.buffer.transfer(0);
      }
    },
  };
}

function encodeRevocationDate(revokedAt: number): Uint8Array {
  const content = encodeTimeContent(revokedAt);
  const tag = isUtcTime(revokedAt) ? TAG.utcTime : TAG.generalizedTime;
  return Buffer.concat([Uint8Array.of(tag, content.length), content]);
}

/** crlEntryExtensions. */
function encodeExtensions(reason: number | undefined, invalidityAt: number | null): Uint8Array {
  const parts: Uint8Array[] = [];
  if (reason !== undefined) parts.push(REASON_HEAD, Uint8Array.of(reason));
  // GeneralizedTime whatever the year (RFC 5280 §5.3.2).
  if (invalidityAt !== null) parts.push(INVALIDITY_HEAD, encodeTimeContent(invalidityAt, true));
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(TAG.sequence, content.length), content]);
}
