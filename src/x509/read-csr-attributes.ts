import { BirthmarkError } from '../core/errors.ts';
import { CSR_ATTRIBUTE, KEY_TYPE } from './csr-attributes.ts';
import {
  type CsrTemplate,
  type RawAttribute,
  readCsrTemplate,
  readExtensionRequest,
  readRawAttribute,
  type WantedExtension,
} from './csr-template.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';

/** Above any honest answer: bounds what a server can make us read. */
const MAX_OCTETS = 64 * 1024;

/** Curves that stand alone in answers of older servers: `secp256r1`, SECG's others, and brainpool's. */
const CURVE = /^(?:1\.2\.840\.10045\.3\.1\.\d+|1\.3\.132\.0\.\d+|1\.3\.36\.3\.3\.2\.8\.1\.1\.\d+)$/;
const KEY_TYPES: ReadonlySet<string> = new Set(Object.values(KEY_TYPE));

/** What can be wrong with an answer whose DER can be read. */
export type CsrAttributesFault =
  /** An element is no OBJECT IDENTIFIER and no Attribute (RFC 7030 §4.5.2). */
  | 'element-unknown'
  /** An attribute has no value, and is none that may do without (RFC 9908 §3). */
  | 'attribute-empty'
  /** The values of an attribute are not in the order of DER, or one is there twice (X.690 §11.6, X.501 §8.2). */
  | 'values-not-a-set'
  /** There is more than one extensionRequest. */
  | 'extension-request-repeated'
  /** An extensionRequest is anything else than one Extensions value: the mistake of RFC 7030's own example. */
  | 'extension-request-wrong'
  /** The type of key is asked for more than once. */
  | 'key-type-repeated'
  /** The values of a type of key are not one curve, or one number of bits. */
  | 'key-type-wrong'
  /** A curve stands alone, without the type of key: the mistake of RFC 7030 Appendix A.2. */
  | 'curve-without-key-type'
  /** There is more than one template. */
  | 'template-repeated'
  /** A template is not what RFC 9908 §3.4 makes of it. */
  | 'template-wrong';

/** CsrAttrs as read. Octets are views into the input. */
export interface CsrAttributes {
  readonly oids: readonly string[];
  readonly attributes: readonly RawAttribute[];
  /** What the extensionRequest asks for. A client that finds a template looks at that alone (RFC 9908 §4). */
  readonly extensions: readonly WantedExtension[];
  readonly template?: CsrTemplate;
  /** Each once. What is marked is not used: a wrong extensionRequest leaves `extensions` empty. */
  readonly faults: readonly CsrAttributesFault[];
}

/**
 * Reads and judges a CSR attributes answer (RFC 7030 §4.5.2, RFC 9908).
 *
 * @throws BirthmarkError `bad-der` for what is no SEQUENCE in DER
 */
export function readCsrAttributes(der: Uint8Array): CsrAttributes {
  if (der.length > MAX_OCTETS)
    throw new BirthmarkError('bad-der', `CSR attributes have more than ${MAX_OCTETS} octets`);
  const outer = new DerReader(der);
  const list = new DerReader(outer.raw('CsrAttrs', TAG.sequence)).sequence('CsrAttrs');
  outer.finish('CsrAttrs');
  const faults = new Set<CsrAttributesFault>();
  const oids: string[] = [];
  const attributes: RawAttribute[] = [];
  while (!list.atEnd) {
    if (list.nextTag === TAG.oid) oids.push(list.oid('element'));
    else {
      const attribute = attempt(new DerReader(list.raw('element')), readRawAttribute);
      if (attribute) attributes.push(attribute);
      else faults.add('element-unknown');
    }
  }
  judgeValues(attributes, faults);
  judgeKeyType(oids, attributes, faults);
  const template = theOne(attributes, CSR_ATTRIBUTE.certificationRequestInfoTemplate, {
    read: ({ values: [value, ...more] }) => (value && more.length === 0 ? readCsrTemplate(value) : undefined),
    repeated: 'template-repeated',
    wrong: 'template-wrong',
    faults,
  });
  const extensions = theOne(attributes, CSR_ATTRIBUTE.extensionRequest, {
    read: readExtensionRequest,
    repeated: 'extension-request-repeated',
    wrong: 'extension-request-wrong',
    faults,
  });
  return {
    oids,
    attributes,
    extensions: extensions ?? [],
    ...(template ? { template } : {}),
    faults: [...faults],
  };
}

function judgeValues(attributes: readonly RawAttribute[], faults: Set<CsrAttributesFault>): void {
  for (const { oid, values } of attributes) {
    if (values.length === 0 && !KEY_TYPES.has(oid)) faults.add('attribute-empty');
    const rising = values.every(
      (value, at) => at === 0 || Buffer.compare(values[at - 1] ?? value, value) < 0,
    );
    if (!rising) faults.add('values-not-a-set');
  }
}

function judgeKeyType(
  oids: readonly string[],
  attributes: readonly RawAttribute[],
  faults: Set<CsrAttributesFault>,
): void {
  const types = attributes.filter(({ oid }) => KEY_TYPES.has(oid));
  if (types.length > 1) faults.add('key-type-repeated');
  for (const { oid, values } of types) {
    const [value, ...more] = values;
    if (value && (more.length > 0 || !isParameterOf(oid, value))) faults.add('key-type-wrong');
  }
  if (oids.some((oid) => CURVE.test(oid))) faults.add('curve-without-key-type');
}

function isParameterOf(keyType: string, value: Uint8Array): boolean {
  const reader = new DerReader(value);
  if (keyType === KEY_TYPE.ecPublicKey) return reader.nextTag === TAG.oid;
  if (keyType !== KEY_TYPE.rsaEncryption) return false;
  return attempt(reader, (bits) => bits.smallInteger('bits') > 0) ?? false;
}

interface Reading<T> {
  readonly read: (attribute: RawAttribute) => T | undefined;
  readonly repeated: CsrAttributesFault;
  readonly wrong: CsrAttributesFault;
  readonly faults: Set<CsrAttributesFault>;
}

/** What the only attribute of a type says. */
function theOne<T>(
  attributes: readonly RawAttribute[],
  type: string,
  { read, repeated, wrong, faults }: Reading<T>,
): T | undefined {
  const [first, ...more] = attributes.filter(({ oid }) => oid === type);
  if (!first) return undefined;
  if (more.length > 0) faults.add(repeated);
  const result = attempt(first, read);
  if (result === undefined) faults.add(wrong);
  return more.length > 0 ? undefined : result;
}

function attempt<T, R>(from: T, read: (from: T) => R): R | undefined {
  try {
    return read(from);
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === 'bad-der') return undefined;
    throw error;
  }
}
