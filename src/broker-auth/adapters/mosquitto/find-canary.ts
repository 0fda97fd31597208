import { BirthmarkError } from '../../../core/errors.ts';
import { openTrust } from '../../../x509/path/trust.ts';
import { validatePath } from '../../../x509/path/validate-path.ts';
import { parsePemBlocks } from '../../../x509/pem.ts';
import { type CredentialId, readCredential } from '../../credential.ts';
import type { TrustedNamespace } from '../../policy.ts';

/**
 * How what is denied knows a canary, whose certificate must be of a CA that the policy trusts: any other would be denied for that.
 *
 * @param certificate PEM
 * @throws BirthmarkError `bad-pem`, `config-invalid`
 */
export function findCanary(certificate: string, trust: readonly TrustedNamespace[]): CredentialId {
  const [leaf = new Uint8Array(0)] = parsePemBlocks(certificate, ['CERTIFICATE'], 'canary');
  const known = openTrust({
    anchors: trust.flatMap(({ anchors }) => anchors),
    intermediates: trust.flatMap(({ intermediates }) => intermediates),
  });
  const verdict = validatePath(leaf, { trust: known, at: 0, purpose: 'any', validity: 'none' });
  if (verdict.reason === 'ok') return readCredential(verdict.path, '');
  throw new BirthmarkError(
    'config-invalid',
    `the certificate of the canary that is denied proves nothing: ${verdict.detail}`,
    { field: 'mosquitto.canaries.denied.certificateFile' },
  );
}
