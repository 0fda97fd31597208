import { TAG } from '../../../x509/der/tags.ts';
import { dottedOf, OID } from './oids.ts';
import { type Tlv, textOf } from './tlv.ts';

/** What the standards say of an attribute type. */
export interface AttributeSpec {
  readonly label: string;
  /** The string type that it must have; `directory`: any DirectoryString, of which new certificates use two. */
  readonly type: 'printable' | 'ia5' | 'directory';
  /** Upper bound in characters. */
  readonly bound: number;
}

export interface AttributeView {
  /** Dotted form of its type. */
  readonly type: string;
  readonly spec: AttributeSpec | undefined;
  readonly value: Tlv;
}

export interface NameView {
  readonly raw: Tlv;
  readonly attributes: readonly AttributeView[];
  /** Whether an RDN has more than one attribute. */
  readonly multiValued: boolean;
  /** What its syntax breaks. */
  readonly fault: string | undefined;
}

const NO_BOUND = Number.POSITIVE_INFINITY;
const directory = (label: string, bound: number): AttributeSpec => ({ label, type: 'directory', bound });

/** RFC 5280 Appendix A.1, with its upper bounds. */
const SPECS = new Map<string, AttributeSpec>([
  [OID.CN, directory('CN', 64)],
  [OID.surname, directory('surname', 32768)],
  [OID.serialNumber, { label: 'serialNumber', type: 'printable', bound: 64 }],
  [OID.C, { label: 'C', type: 'printable', bound: 2 }],
  [OID.L, directory('L', 128)],
  [OID.ST, directory('ST', 128)],
  [OID.O, directory('O', 64)],
  [OID.OU, directory('OU', 64)],
  [OID.title, directory('title', 64)],
  [OID.name, directory('name', 32768)],
  [OID.givenName, directory('givenName', 32768)],
  [OID.initials, directory('initials', 32768)],
  [OID.generationQualifier, directory('generationQualifier', 32768)],
  [OID.dnQualifier, { label: 'dnQualifier', type: 'printable', bound: NO_BOUND }],
  [OID.pseudonym, directory('pseudonym', 128)],
  [OID.domainComponent, { label: 'DC', type: 'ia5', bound: NO_BOUND }],
  [OID.emailAddress, { label: 'emailAddress', type: 'ia5', bound: 255 }],
]);

const MALFORMED = 'it is not a SEQUENCE OF SET OF { type, value } with at least one attribute in each SET';

/** Reads a Name (RFC 5280 §4.1.2.4). */
export function readName(raw: Tlv): NameView {
  const attributes: AttributeView[] = [];
  let multiValued = false;
  let fault = raw.tag === TAG.sequence ? undefined : MALFORMED;
  for (let rdn = raw.tag === TAG.sequence ? raw.first : undefined; rdn !== undefined; rdn = rdn.next) {
    if (rdn.tag !== TAG.set || rdn.first === undefined) fault = MALFORMED;
    if (rdn.first?.next !== undefined) multiValued = true;
    for (let attribute = rdn.first; attribute !== undefined; attribute = attribute.next) {
      const value = attribute.first?.next;
      if (
        attribute.tag !== TAG.sequence ||
        attribute.first?.tag !== TAG.oid ||
        value === undefined ||
        value.next !== undefined
      ) {
        fault = MALFORMED;
        continue;
      }
      const type = dottedOf(attribute.first);
      attributes.push({ type, spec: SPECS.get(type), value });
    }
  }
  return { raw, attributes, multiValued, fault };
}

/** Whether a Name has no attribute at all. */
export function isEmptyName(name: NameView): boolean {
  return name.raw.first === undefined;
}

/** Number of characters of an attribute's value. */
export function characterCount({ value }: AttributeView): number {
  const { bytes, tag, content, end } = value;
  if (tag === TAG.bmpString) return (end - content) >> 1;
  if (tag === TAG.universalString) return (end - content) >> 2;
  let count = end - content;
  if (tag !== TAG.utf8String) return count;
  for (let at = content; at < end; at += 1) if (((bytes[at] ?? 0) & 0xc0) === 0x80) count -= 1;
  return count;
}

export function labelOf(attribute: AttributeView): string {
  return attribute.spec?.label ?? attribute.type;
}

/** A Name for people, in the order of the encoding. */
export function nameText(name: NameView): string {
  return name.attributes.map((attribute) => `${labelOf(attribute)}=${textOf(attribute.value)}`).join(', ');
}
