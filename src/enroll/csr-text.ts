import { parseBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { parsePem } from '../x509/pem.ts';

/** Base64 and PEM around the largest CSR that is read. */
const MAX_TEXT = 32 * 1024;

/**
 * DER of a CSR that came as text in JSON: PEM, or the base64 of its DER on one line.
 *
 * @throws BirthmarkError `bad-csr`, `bad-pem`, `bad-base64`
 */
export function parseCsrText(text: string): Buffer {
  if (text.length > MAX_TEXT)
    throw new BirthmarkError('bad-csr', `csr has more than ${MAX_TEXT} characters`, { field: 'csr' });
  if (text.includes('-----BEGIN'))
    return parsePem(text, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'], 'csr');
  return parseBase64(text, 'csr');
}
