import { asBuffer, parseBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';

export type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'NEW CERTIFICATE REQUEST' | 'X509 CRL';

/** Textual encoding of RFC 7468 §2, 64 columns, with a line feed at the end. */
export function toPem(label: PemLabel, der: Uint8Array): string {
  const base64 = asBuffer(der).toString('base64');
  let body = '';
  for (let at = 0; at < base64.length; at += 64) body += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}

/**
 * The octets of every block with one of the labels, in order. Text around the blocks is allowed (RFC 7468 §2),
 * blocks of other labels are passed over, white space inside a block is allowed; headers (RFC 1421) are not.
 *
 * @throws BirthmarkError `bad-pem` where no such block is found or one has no end, `bad-base64` for what is in one
 */
export function parsePemBlocks(text: string, labels: readonly PemLabel[], field: string): Buffer[] {
  const blocks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const begin = text.indexOf('-----BEGIN ', at);
    if (begin === -1) break;
    const labelEnd = text.indexOf('-----', begin + 11);
    const label = labelEnd === -1 ? '' : text.slice(begin + 11, labelEnd);
    const end = text.indexOf(`-----END ${label}-----`, labelEnd);
    if (labelEnd === -1 || end === -1) {
      throw new BirthmarkError('bad-pem', `${field} has a PEM block without its end line`, { field });
    }
    if (labels.some((wanted) => wanted === label)) {
      blocks.push(parseBase64(text.slice(labelEnd + 5, end).replace(/[ \t\r\n]+/g, ''), field));
    }
    at = end + 14 + label.length;
  }
  if (blocks.length === 0)
    throw new BirthmarkError('bad-pem', `${field} holds no PEM block "${labels[0]}"`, { field });
  return blocks;
}

/** The one block that the text must hold; errors as for `parsePemBlocks`. */
export function parsePem(text: string, labels: readonly PemLabel[], field: string): Buffer {
  const [block, ...more] = parsePemBlocks(text, labels, field);
  if (block && more.length === 0) return block;
  throw new BirthmarkError(
    'bad-pem',
    `${field} holds ${more.length + 1} PEM blocks "${labels[0]}" where one belongs`,
    { field },
  );
}
