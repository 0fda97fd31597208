import { BirthmarkError } from '../core/errors.ts';
import type { CertificateRequest } from './csr.ts';
import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';
import { type GeneralName, parseGeneralNames } from './general-name.ts';
import { assertName } from './name.ts';

/** RFC 2985 §5.4.1. */
export const CHALLENGE_PASSWORD = '1.2.840.113549.1.9.7';
/** id-cmc-changeSubjectName, RFC 6402 §2.8. */
const CHANGE_SUBJECT_NAME = '1.3.6.1.5.5.7.7.36';
/** id-aa-decryptKeyID, RFC 4108 §2.2.5. */
const DECRYPT_KEY_ID = '1.2.840.113549.1.9.16.2.37';
/** id-aa-asymmDecryptKeyID, RFC 7030 §4.4.1.2. */
const ASYMM_DECRYPT_KEY_ID = '1.2.840.113549.1.9.16.2.54';
/** pkcs-9-ub-challengePassword, RFC 2985 §5.4.1. */
const MAX_CHALLENGE_PASSWORD = 255;

/** The names that a client would rather have (RFC 6402 §2.8); at least one of them is there. */
export interface ChangeSubjectName {
  /** Name, DER. */
  readonly subject?: Uint8Array;
  readonly subjectAlt?: readonly GeneralName[];
}

/** What EST reads from a CSR's attributes beside the extensions that it asks for. */
export interface EstAttributes {
  /** In EST the channel binding in base64, and nothing else (RFC 7030 §3.5). */
  readonly challengePassword?: string;
  readonly changeSubjectName?: ChangeSubjectName;
}

const NONE: EstAttributes = {};

/**
 * The attributes of a CSR that EST looks at. `parseCsr` only lists their types, so that other doors do not pay for them.
 *
 * @throws BirthmarkError `bad-csr`, `bad-der` for an attribute that is not what its type says
 */
export function readEstAttributes(csr: CertificateRequest): EstAttributes {
  const { otherAttributes } = csr;
  const challenge = otherAttributes.includes(CHALLENGE_PASSWORD);
  const change = otherAttributes.includes(CHANGE_SUBJECT_NAME);
  if (!challenge && !change) return NONE;
  return {
    ...(challenge
      ? { challengePassword: readChallengePassword(attributeValue(csr, CHALLENGE_PASSWORD)) }
      : {}),
    ...(change ? { changeSubjectName: readChangeSubjectName(attributeValue(csr, CHANGE_SUBJECT_NAME)) } : {}),
  };
}

/**
 * Whether the client wants a key that the server makes to be encrypted for it. Who cannot do that must fail: the key never
 * goes out less protected than was asked for (RFC 7030 §4.4.1).
 */
export function asksForKeyEncryption(csr: CertificateRequest): boolean {
  return csr.otherAttributes.some((type) => type === DECRYPT_KEY_ID || type === ASYMM_DECRYPT_KEY_ID);
}

/** The one value of an attribute that is known to be there, once. */
function attributeValue(csr: CertificateRequest, wanted: string): DerReader {
  const fields = new DerReader(csr.info).sequence('certificationRequestInfo');
  fields.smallInteger('version');
  fields.unread('subject', TAG.sequence);
  fields.unread('subjectPublicKeyInfo', TAG.sequence);
  const attributes = fields.enter(TAG.contextConstructed, 'attributes');
  for (;;) {
    const attribute = attributes.sequence('attribute');
    if (attribute.oid('attribute type') !== wanted) continue;
    const values = attribute.enter(TAG.set, 'attribute values');
    const value = values.atEnd ? undefined : values.raw('attribute value');
    if (value === undefined || !values.atEnd) throw badCsr(`must have one value in attribute ${wanted}`);
    return new DerReader(value);
  }
}

/** A DirectoryString, or the IA5String that some write; what EST puts into one is ASCII. */
function readChallengePassword(value: DerReader): string {
  const tag = value.nextTag;
  const text = decodeAscii(tag, value.content(tag, 'challengePassword'));
  if (text !== undefined && text.length > 0 && text.length <= MAX_CHALLENGE_PASSWORD) return text;
  throw badCsr(
    `has a challengePassword that is not 1 to ${MAX_CHALLENGE_PASSWORD} ASCII characters in a DirectoryString (RFC 2985 §5.4.1)`,
  );
}

function decodeAscii(tag: number, content: Uint8Array): string | undefined {
  let text: string;
  switch (tag) {
    case TAG.utf8String:
    case TAG.printableString:
    case TAG.teletexString:
    case TAG.ia5String:
      text = Buffer.from(content).toString('latin1');
      break;
    case TAG.bmpString:
      // `raw` has proven that the characters are whole.
      text = Buffer.from(content).swap16().toString('utf16le');
      break;
    default:
      return undefined;
  }
  return /^[ -~]*$/.test(text) ? text : undefined;
}

/**
 * Both members are a SEQUENCE without a tag of their own, so what is in them tells which is which: a Name's elements are
 * SETs, those of GeneralNames are context-specific and at least one.
 */
function readChangeSubjectName(value: DerReader): ChangeSubjectName {
  const fields = value.sequence('changeSubjectName');
  value.finish('changeSubjectName');
  const members: { subject?: Uint8Array; subjectAlt?: readonly GeneralName[] } = {};
  while (!fields.atEnd && members.subjectAlt === undefined) {
    const member = fields.raw('changeSubjectName', TAG.sequence);
    const first = new DerReader(member).sequence('changeSubjectName').nextTag;
    if (first >= TAG.context) members.subjectAlt = parseGeneralNames(member);
    else if (members.subject === undefined) {
      assertName(member);
      members.subject = member;
    } else throw badCsr('has two subjects in changeSubjectName');
  }
  fields.finish('changeSubjectName');
  if (members.subject === undefined && members.subjectAlt === undefined)
    throw badCsr('has an empty changeSubjectName');
  return members;
}

function badCsr(why: string): BirthmarkError {
  return new BirthmarkError('bad-csr', `the CSR ${why}`, { field: 'csr' });
}
