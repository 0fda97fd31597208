import { parseBase64 } from '../../core/bytes.ts';
import { KEY_TYPE } from '../../x509/csr-attributes.ts';
import { DerReader } from '../../x509/der/reader.ts';
import { readCsrAttributes } from '../../x509/read-csr-attributes.ts';
import type { KeyType } from '../key/key-type.ts';
import type { Reply } from '../net/exchange.ts';

const CURVES = new Map<string, KeyType>([
  ['1.2.840.10045.3.1.7', 'ec-p256'],
  ['1.3.132.0.34', 'ec-p384'],
]);

/**
 * The kind of key that a server asks for with its CSR attributes (RFC 7030 §4.5.2, RFC 9908); undefined where it asks for
 * none, or for one that we do not make, which it then tells by refusing ours.
 *
 * @throws BirthmarkError `bad-base64`, `bad-der`
 */
export function wantedKey({ status, body }: Reply): KeyType | undefined {
  if (status !== 200) return undefined;
  const base64 = body.toString('latin1').replace(/[\r\n\t ]+/g, '');
  const { attributes, template } = readCsrAttributes(parseBase64(base64, 'csrattrs'));
  if (template?.key) {
    const fields = new DerReader(template.key.algorithm).sequence('algorithm');
    return keyTypeOf(fields.oid('algorithm'), fields.atEnd ? undefined : fields.raw('parameters'));
  }
  const asked = attributes.find(({ oid }) => Object.values<string>(KEY_TYPE).includes(oid));
  return asked && keyTypeOf(asked.oid, asked.values[0]);
}

function keyTypeOf(oid: string, parameter: Uint8Array | undefined): KeyType | undefined {
  switch (oid) {
    case KEY_TYPE.ed25519:
      return 'ed25519';
    case KEY_TYPE.rsaEncryption:
      return 'rsa-3072';
    case KEY_TYPE.ecPublicKey:
      return parameter && CURVES.get(new DerReader(parameter).oid('curve'));
    default:
      return undefined;
  }
}
