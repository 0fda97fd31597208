import { isIP } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import { isDnsName } from '../../core/identifiers.ts';
import type { Config } from './schema.ts';

/**
 * Checks what a schema cannot say of `listen`: names that are names, and a certificate with its key.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function checkListen({ tlsNames, tlsCertificateFile, tlsKeyFile }: Config['listen']): void {
  const wrong = tlsNames.find((name) => isIP(name) === 0 && !isDnsName(name));
  if (wrong !== undefined)
    throw invalid('listen.tlsNames', `: ${JSON.stringify(wrong)} is neither a DNS name nor an IP address`);
  if (tlsCertificateFile !== undefined && tlsKeyFile === undefined)
    throw invalid('listen.tlsKeyFile', ' is missing: listen.tlsCertificateFile goes with it');
  if (tlsKeyFile !== undefined && tlsCertificateFile === undefined)
    throw invalid('listen.tlsCertificateFile', ' is missing: listen.tlsKeyFile goes with it');
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}${rule}`, { field });
}
