import { parseBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { KEY_TYPE } from '../../x509/csr-attributes.ts';
import { DerReader } from '../../x509/der/reader.ts';
import { readCsrAttributes } from '../../x509/read-csr-attributes.ts';
import { findKeyType, type KeyType } from '../key/key-type.ts';
import type { Reply } from '../net/exchange.ts';

const CURVES = new Map([
  ['1.2.840.10045.3.1.7', 'ec-p256'],
  ['1.3.132.0.34', 'ec-p384'],
  ['1.3.132.0.35', 'ec-p521'],
]);
/** Where it is RSA, and nobody says how long. */
const RSA_BITS = 3072;

/**
 * The kind of key that a server asks for with its CSR attributes (RFC 7030 §4.5.2, RFC 9908); undefined where it asks for none.
 *
 * @throws BirthmarkError `key-algorithm-not-allowed` for one that we do not make; `bad-base64`, `bad-der`
 */
export function wantedKey({ status, body }: Reply): KeyType | undefined {
  if (status !== 200) return undefined;
  const base64 = body.toString('latin1').replace(/[\r\n\t ]+/g, '');
  const { attributes, template } = readCsrAttributes(parseBase64(base64, 'csrattrs'));
  // Who finds a template looks at nothing else (RFC 9908 §4).
  if (template) return template.key && ofTemplate(template.key);
  const asked = attributes.find(({ oid }) => Object.values<string>(KEY_TYPE).includes(oid));
  if (!asked) return undefined;
  const value = asked.values[0] && new DerReader(asked.values[0]);
  if (asked.oid === KEY_TYPE.rsaEncryption) return rsa(value?.smallInteger('bits'));
  return asked.oid === KEY_TYPE.ed25519 ? 'ed25519' : onCurve(value?.oid('curve'));
}

function ofTemplate({
  algorithm,
  rsaBits,
}: {
  readonly algorithm: Uint8Array;
  readonly rsaBits?: number;
}): KeyType {
  const fields = new DerReader(algorithm).sequence('algorithm');
  const oid = fields.oid('algorithm');
  if (oid === KEY_TYPE.rsaEncryption) return rsa(rsaBits);
  if (oid === KEY_TYPE.ed25519) return 'ed25519';
  if (oid === KEY_TYPE.ecPublicKey) return onCurve(fields.atEnd ? undefined : fields.oid('curve'));
  throw cannot(`algorithm ${oid}`);
}

function rsa(bits = RSA_BITS): KeyType {
  return findKeyType(`rsa-${bits}`) ?? fail(`RSA with ${bits} bits`);
}

function onCurve(oid: string | undefined): KeyType {
  // Any curve will do then.
  if (oid === undefined) return 'ec-p256';
  return findKeyType(CURVES.get(oid) ?? '') ?? fail(`the curve ${oid}`);
}

function fail(what: string): never {
  throw cannot(what);
}

function cannot(what: string): BirthmarkError {
  return new BirthmarkError(
    'key-algorithm-not-allowed',
    `the server asks for a key that is not made here: ${what}; --key-type says which to make instead, if it takes another one`,
  );
}
