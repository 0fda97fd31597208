import type { SignatureAlgorithmName } from '../core/signature-algorithm.ts';
import { SIGNATURE_ALGORITHMS } from './algorithms.ts';
import { constructed, type Der, encode, sequence, setOf } from './der/encode.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { bitString, integer, nullValue, oid, unsigned } from './der/values.ts';
import { CHALLENGE_PASSWORD } from './est-attributes.ts';
import { ATTRIBUTE_OIDS, type AttributeType, encodeAttribute } from './name.ts';
import type { CurveName } from './public-key.ts';

/** Types of the elements of CsrAttrs (RFC 2985 §5.4.2, RFC 9908 §3). */
export const CSR_ATTRIBUTE = {
  extensionRequest: '1.2.840.113549.1.9.14',
  certificationRequestInfoTemplate: '1.2.840.113549.1.9.16.2.61',
  extensionReqTemplate: '1.2.840.113549.1.9.16.2.62',
} as const;

/** Types of keys, as the type of an attribute or the algorithm of a template. */
export const KEY_TYPE = {
  ecPublicKey: '1.2.840.10045.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  ed25519: '1.3.101.112',
} as const;

const CURVE_OIDS: Readonly<Record<CurveName, string>> = {
  'P-256': '1.2.840.10045.3.1.7',
  'P-384': '1.3.132.0.34',
  'P-521': '1.3.132.0.35',
};
const RSA_EXPONENT = 65_537;

export type KeyRequirement =
  | { readonly kind: 'ec'; readonly curve: CurveName }
  | { readonly kind: 'rsa'; readonly bits: number }
  | { readonly kind: 'ed25519' };

/** What a template can say and a plain list cannot. */
export interface TemplateRequirements {
  /** RDNs of one attribute; without a value the client fills it in. */
  readonly subject?: readonly { readonly type: AttributeType; readonly value?: string }[];
  /** Extensions whose value the client fills in: their types. */
  readonly openExtensions?: readonly string[];
}

/** What a CSR must be. What is not given is not asked for. */
export interface CsrRequirements {
  /** The CSR must be bound to its TLS channel (RFC 7030 §3.5, §4.5.2). */
  readonly channelBinding?: boolean;
  readonly key?: KeyRequirement;
  /** How the CSR must be signed. */
  readonly signature?: SignatureAlgorithmName;
  /** Extensions that the CSR must hold as they are, DER of each, of different types. */
  readonly extensions?: readonly Der[];
  /**
   * Also says all of it as a template, which clients that know of it must prefer. There is none where channel binding is
   * required: a template has no place for an attribute without value, and its reader would not see the rest.
   */
  readonly template?: TemplateRequirements;
}

/** DER of CsrAttrs: `30 00` where nothing is asked for (RFC 7030 §4.5.2, RFC 9908 §3). */
export function encodeCsrAttributes(required: CsrRequirements): Buffer {
  const { channelBinding = false, key, signature, extensions = [], template } = required;
  const elements: Der[] = [];
  if (channelBinding) elements.push(oid(CHALLENGE_PASSWORD));
  if (key) elements.push(keyAttribute(key));
  // One attribute with one value that holds all extensions: the example of RFC 7030 §4.5.2 is wrong there.
  if (extensions.length > 0)
    elements.push(attribute(CSR_ATTRIBUTE.extensionRequest, sequence(...extensions)));
  if (signature) elements.push(signatureOid(signature));
  if (template && !channelBinding) {
    elements.push(
      attribute(CSR_ATTRIBUTE.certificationRequestInfoTemplate, encodeTemplate(required, template)),
    );
  }
  return encode(sequence(...elements));
}

function attribute(type: string, ...values: readonly Der[]): Der {
  return sequence(oid(type), setOf(...values));
}

/** Exactly one attribute says the type of key, its values what else is asked of it (RFC 9908 §3). */
function keyAttribute(key: KeyRequirement): Der {
  switch (key.kind) {
    case 'ec':
      return attribute(KEY_TYPE.ecPublicKey, oid(CURVE_OIDS[key.curve]));
    case 'rsa':
      return attribute(KEY_TYPE.rsaEncryption, integer(key.bits));
    case 'ed25519':
      return attribute(KEY_TYPE.ed25519);
  }
}

function signatureOid(name: SignatureAlgorithmName): Der {
  return new DerReader(SIGNATURE_ALGORITHMS[name].der).sequence('algorithm').raw('algorithm', TAG.oid);
}

/** CertificationRequestInfoTemplate of RFC 9908 §3.4 and Appendix A, whose tags are IMPLICIT. */
function encodeTemplate(
  { key, extensions = [] }: CsrRequirements,
  { subject = [], openExtensions = [] }: TemplateRequirements,
): Der {
  const fields: Der[] = [integer(0)];
  if (subject.length > 0) fields.push(sequence(...subject.map(templateAttribute)));
  if (key) fields.push(constructed(TAG.contextConstructed | 0, keyTemplate(key)));
  const asked = [...extensions, ...openExtensions.map((type) => sequence(oid(type)))];
  // The two are never there together, and the template's own form only where a value is left open.
  const type =
    openExtensions.length > 0 ? CSR_ATTRIBUTE.extensionReqTemplate : CSR_ATTRIBUTE.extensionRequest;
  const attributes = asked.length > 0 ? [attribute(type, sequence(...asked))] : [];
  fields.push(constructed(TAG.contextConstructed | 1, attributes));
  return sequence(...fields);
}

function templateAttribute({ type, value }: { readonly type: AttributeType; readonly value?: string }): Der {
  return value === undefined ? setOf(sequence(oid(ATTRIBUTE_OIDS[type]))) : encodeAttribute({ type, value });
}

/** SubjectPublicKeyInfo without a key, or with one that nobody has, whose length is what is asked for. */
function keyTemplate(key: KeyRequirement): readonly Der[] {
  switch (key.kind) {
    case 'ec':
      return [sequence(oid(KEY_TYPE.ecPublicKey), oid(CURVE_OIDS[key.curve]))];
    case 'ed25519':
      return [sequence(oid(KEY_TYPE.ed25519))];
    case 'rsa': {
      const modulus = Buffer.alloc(Math.ceil(key.bits / 8), 0xff);
      modulus[0] = 0xff >> (modulus.length * 8 - key.bits);
      const placeholder = encode(sequence(unsigned(modulus), integer(RSA_EXPONENT)));
      return [sequence(oid(KEY_TYPE.rsaEncryption), nullValue()), bitString(placeholder)];
    }
  }
}
