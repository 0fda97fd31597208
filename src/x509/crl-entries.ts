import { BirthmarkError } from '../core/errors.ts';
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
  /** Hands over the memory in which they lie, with room for the list around them, and forgets them. */
  take(): EntriesMemory;
}

/** Entries from `from` on and before `to`. Around them is `LIST_ROOM`. */
export interface EntriesMemory {
  readonly memory: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Octets before and behind the entries for the rest of their list: names, extensions, a signature. */
export const LIST_ROOM = 16 * 1024;

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

/**
 * Writes straight to where the list will be whole, without an object an entry and without a copy: a list may have a million.
 *
 * @param most no more are added. What is reserved for them and not used takes no memory: nobody has touched it.
 */
export function createCrlEntries(most: number): CrlEntries {
  let memory = Buffer.allocUnsafeSlow(LIST_ROOM + most * MOST + LIST_ROOM);
  let at = LIST_ROOM;
  // Many were taken back within one second, for few reasons.
  let time: Uint8Array = Buffer.of();
  let timeOf: number | undefined;

  return {
    add(serial, revokedAt, reason, invalidityAt) {
      if (at + MOST + LIST_ROOM > memory.length)
        throw new BirthmarkError('internal', `a list has more than the ${most} entries that it was to have`);
      if (revokedAt !== timeOf) {
        time = encodeRevocationDate(revokedAt);
        timeOf = revokedAt;
      }
      const extensions =
        invalidityAt === null
          ? (REASONS.get(reason) ?? NOTHING)
          : encodeExtensions(reason === null ? undefined : CRL_REASON[reason], invalidityAt);
      const octets = serial.length / 2;
      memory[at] = TAG.sequence;
      memory[at + 1] = 2 + octets + time.length + extensions.length;
      memory[at + 2] = TAG.integer;
      memory[at + 3] = octets;
      at += 4;
      at += memory.write(serial, at, octets, 'hex');
      memory.set(time, at);
      at += time.length;
      memory.set(extensions, at);
      at += extensions.length;
    },
    get size() {
      return at - LIST_ROOM;
    },
    take() {
      const taken = { memory, from: LIST_ROOM, to: at };
      memory = NOTHING;
      at = LIST_ROOM;
      return taken;
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
