import { isUtf8 } from 'node:buffer';
import { TAG } from '../../../x509/der/tags.ts';

/** What an encoding can break of DER. Each is the id of the rule that tells it. */
export type DerFaultCode =
  | 'der.length'
  | 'der.tag'
  | 'der.trailing'
  | 'der.nesting'
  | 'der.form'
  | 'der.default'
  | 'der.boolean'
  | 'der.integer'
  | 'der.bit-string'
  | 'der.null'
  | 'der.oid'
  | 'der.string'
  | 'der.set-order';

/** The first fault of each kind that was met. */
export type DerFaults = Partial<Record<DerFaultCode, string>>;

export function report(faults: DerFaults, code: DerFaultCode, detail: string): void {
  faults[code] ??= detail;
}

interface PrimitiveFault {
  readonly code: DerFaultCode;
  readonly detail: string;
}

const PRINTABLE = characterTable(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?",
);
const NUMERIC = characterTable('0123456789 ');
const VISIBLE = characterTable(
  String.fromCharCode(...Array.from({ length: 0x7f - 0x20 }, (_, i) => 0x20 + i)),
);
const IA5 = characterTable(String.fromCharCode(...Array.from({ length: 0x80 }, (_, i) => i)));

function characterTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i += 1) table[characters.charCodeAt(i)] = 1;
  return table;
}

/** What is wrong with the content of a primitive value of a universal type. */
export function primitiveFault(
  bytes: Uint8Array,
  tag: number,
  start: number,
  end: number,
): PrimitiveFault | undefined {
  switch (tag) {
    case TAG.oid:
      return isOidContent(bytes, start, end)
        ? undefined
        : {
            code: 'der.oid',
            detail: 'an OBJECT IDENTIFIER is empty, cut off, or has an arc with leading zeros',
          };
    case TAG.printableString:
      return characterFault(bytes, start, end, PRINTABLE, 'PrintableString');
    case TAG.utf8String:
      return isAscii(bytes, start, end) || isUtf8(bytes.subarray(start, end))
        ? undefined
        : { code: 'der.string', detail: 'a UTF8String is not UTF-8' };
    case TAG.octetString:
      return undefined;
    case TAG.bitString:
      return isBitString(bytes, start, end)
        ? undefined
        : { code: 'der.bit-string', detail: 'a BIT STRING is empty or its unused bits are not zero' };
    case TAG.integer:
    case TAG.enumerated:
      return isInteger(bytes, start, end)
        ? undefined
        : { code: 'der.integer', detail: 'an INTEGER is empty or not as short as it can be' };
    case TAG.boolean:
      return end - start === 1 && (bytes[start] === 0xff || bytes[start] === 0)
        ? undefined
        : { code: 'der.boolean', detail: 'a BOOLEAN is neither 00 nor ff' };
    case TAG.null:
      return end === start ? undefined : { code: 'der.null', detail: 'a NULL has content' };
    case TAG.ia5String:
      return characterFault(bytes, start, end, IA5, 'IA5String');
    case TAG.numericString:
      return characterFault(bytes, start, end, NUMERIC, 'NumericString');
    case TAG.visibleString:
      return characterFault(bytes, start, end, VISIBLE, 'VisibleString');
    case TAG.bmpString:
      return (end - start) % 2 === 0
        ? undefined
        : { code: 'der.string', detail: 'a BMPString has half a character' };
    case TAG.sequence & 0x1f:
    case TAG.set & 0x1f:
      return { code: 'der.form', detail: 'a SEQUENCE or SET is marked as a simple value' };
    default:
      return undefined;
  }
}

function characterFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  legal: Uint8Array,
  type: string,
): PrimitiveFault | undefined {
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (legal[octet] === 1) continue;
    const shown =
      octet > 0x20 && octet < 0x7f
        ? `"${String.fromCharCode(octet)}"`
        : `0x${octet.toString(16).padStart(2, '0')}`;
    return { code: 'der.string', detail: `${shown} is no character of a ${type}` };
  }
  return undefined;
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] ?? 0) >= 0x80) return false;
  return true;
}

/** X.690 §8.19.2: each arc in as few octets as can be, the last one ended. */
function isOidContent(bytes: Uint8Array, start: number, end: number): boolean {
  let starts = true;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    if (starts && octet === 0x80) return false;
    starts = octet < 0x80;
  }
  return starts && end > start;
}

/** X.690 §8.6.2 and §11.2.1. */
function isBitString(bytes: Uint8Array, start: number, end: number): boolean {
  const unused = bytes[start] ?? 8;
  if (end === start || unused > 7) return false;
  if (end - start === 1) return unused === 0;
  return ((bytes[end - 1] ?? 0) & ((1 << unused) - 1)) === 0;
}

/** X.690 §8.3.2. */
function isInteger(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 2) return end > start;
  const first = bytes[start];
  const second = bytes[start + 1] ?? 0;
  return !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
}
