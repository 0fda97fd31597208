import { BirthmarkError } from '../core/errors.ts';
import { CSR_ATTRIBUTE, KEY_TYPE } from './csr-attributes.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';

/** An attribute as read: its type, and its values, DER of each. */
export interface RawAttribute {
  readonly oid: string;
  readonly values: readonly Uint8Array[];
}

/** An extension that a CSR shall have. */
export interface WantedExtension {
  readonly oid: string;
  readonly critical: boolean;
  /** What the extnValue shall hold; the client fills it in where it is absent. */
  readonly value?: Uint8Array;
}

/** CertificationRequestInfoTemplate (RFC 9908 §3.4): a CSR with what the server demands filled in. Octets are views. */
export interface CsrTemplate {
  /** RDNs; the client fills in the attributes that have no value (DER). Absent where nothing is demanded. */
  readonly subject?: readonly (readonly { readonly oid: string; readonly value?: Uint8Array }[])[];
  readonly key?: {
    /** AlgorithmIdentifier, DER. */
    readonly algorithm: Uint8Array;
    readonly rsaBits?: number;
  };
  readonly extensions: readonly WantedExtension[];
  readonly otherAttributes: readonly RawAttribute[];
}

/**
 * Reads a template and holds it to what RFC 9908 §3.4 says of it.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readCsrTemplate(der: Uint8Array): CsrTemplate {
  const outer = new DerReader(der);
  const fields = outer.sequence('template');
  outer.finish('template');
  if (fields.smallInteger('version') !== 0) throw bad('is not of version v1');
  const subject = fields.nextTag === TAG.sequence ? readSubject(fields.sequence('subject')) : undefined;
  const key = fields.enterOptional(TAG.contextConstructed | 0, 'subjectPKInfo');
  const attributes = readAttributes(fields.enter(TAG.contextConstructed | 1, 'attributes'));
  fields.finish('template');
  const requests = attributes.filter(({ oid }) => isExtensionRequest(oid));
  const [request, ...more] = requests;
  if (more.length > 0) throw bad('asks for extensions in two attributes');
  return {
    ...(subject ? { subject } : {}),
    ...(key ? { key: readKey(key) } : {}),
    extensions: request ? readExtensionRequest(request) : [],
    otherAttributes: attributes.filter((one) => one !== request),
  };
}

function isExtensionRequest(oid: string): boolean {
  return oid === CSR_ATTRIBUTE.extensionRequest || oid === CSR_ATTRIBUTE.extensionReqTemplate;
}

function readSubject(rdns: DerReader): CsrTemplate['subject'] {
  const subject: { readonly oid: string; readonly value?: Uint8Array }[][] = [];
  while (!rdns.atEnd) {
    const attributes = rdns.enter(TAG.set, 'RDN');
    if (attributes.atEnd) throw bad('has an empty RDN');
    const rdn: { readonly oid: string; readonly value?: Uint8Array }[] = [];
    while (!attributes.atEnd) {
      const attribute = attributes.sequence('attribute');
      const oid = attribute.oid('attribute type');
      rdn.push(attribute.atEnd ? { oid } : { oid, value: attribute.raw('attribute value') });
      attribute.finish('attribute');
    }
    subject.push(rdn);
  }
  return subject;
}

function readKey(fields: DerReader): NonNullable<CsrTemplate['key']> {
  const algorithm = fields.raw('algorithm', TAG.sequence);
  const algorithmFields = new DerReader(algorithm).sequence('algorithm');
  const oid = algorithmFields.oid('algorithm');
  if (!algorithmFields.atEnd) algorithmFields.raw('parameters');
  algorithmFields.finish('algorithm');
  if (fields.atEnd) return { algorithm };
  if (oid !== KEY_TYPE.rsaEncryption)
    throw bad('has a public key that is no RSA key of the length asked for');
  const placeholder = new DerReader(fields.octetsOfBitString('subjectPublicKey'));
  fields.finish('subjectPKInfo');
  const key = placeholder.sequence('RSAPublicKey');
  placeholder.finish('RSAPublicKey');
  const modulus = key.positiveInteger('modulus');
  key.positiveInteger('publicExponent');
  key.finish('RSAPublicKey');
  return { algorithm, rsaBits: modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24 };
}

function readAttributes(list: DerReader): RawAttribute[] {
  const attributes: RawAttribute[] = [];
  while (!list.atEnd) attributes.push(readRawAttribute(list));
  return attributes;
}

/**
 * Reads the next value as an Attribute.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readRawAttribute(list: DerReader): RawAttribute {
  const fields = list.sequence('attribute');
  const oid = fields.oid('attribute type');
  const set = fields.enter(TAG.set, 'attribute values');
  fields.finish('attribute');
  const values: Uint8Array[] = [];
  while (!set.atEnd) values.push(set.raw('attribute value'));
  return { oid, values };
}

/**
 * Reads the one value of an extensionRequest (RFC 2985 §5.4.2), or of an extensionReqTemplate, whose extensions need no
 * value (RFC 9908 Appendix A).
 *
 * @throws BirthmarkError `bad-der` where there is another number of values, an extension twice or none
 */
export function readExtensionRequest({ oid: type, values }: RawAttribute): WantedExtension[] {
  const [value, ...more] = values;
  if (value === undefined || more.length > 0) throw bad('does not have one list of extensions in one value');
  const list = new DerReader(value).sequence('extensions');
  const extensions: WantedExtension[] = [];
  const seen = new Set<string>();
  while (!list.atEnd) {
    const fields = list.sequence('extension');
    const oid = fields.oid('extnID');
    const critical = fields.nextTag === TAG.boolean;
    if (critical && !fields.boolean('critical')) throw bad('says critical FALSE, which is the default');
    const open = fields.atEnd && type === CSR_ATTRIBUTE.extensionReqTemplate;
    extensions.push({ oid, critical, ...(open ? {} : { value: fields.octetString('extnValue') }) });
    fields.finish('extension');
    if (seen.has(oid)) throw bad(`asks for extension ${oid} twice`);
    seen.add(oid);
  }
  if (extensions.length === 0) throw bad('asks for no extension in an extension request');
  return extensions;
}

function bad(why: string): BirthmarkError {
  return new BirthmarkError('bad-der', `the CSR attributes' request ${why} (RFC 9908 §3)`);
}
