import type { SecureContextOptions } from 'node:tls';
import { keyFault } from '../../broker-auth/key-demand.ts';
import type { ListenerPolicy } from '../../broker-auth/policy.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parsePemBlocks } from '../../x509/pem.ts';

/**
 * Holds the broker's own certificate to what a listener's preset asks of its clients': a profile of which one side is left out is
 * none.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function checkServerKey(listener: ListenerPolicy | undefined, { cert }: SecureContextOptions): void {
  if (!listener?.keys || cert === undefined) return;
  const pem = [cert].flat().map(String).join('\n');
  const fault = keyFault(
    parsePemBlocks(pem, ['CERTIFICATE'], 'the certificate of the broker'),
    listener.keys,
  );
  if (fault === undefined) return;
  const field = `broker.listeners.${listener.name}.preset`;
  throw new BirthmarkError(
    'config-invalid',
    `${field}: ${fault}, which ${listener.preset} does not take, and it is the broker's own path; give a certificate that it takes ` +
      '(listen.tlsCertificateFile), or another preset',
    { field },
  );
}
