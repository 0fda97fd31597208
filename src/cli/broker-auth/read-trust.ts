import type { TrustedNamespace } from '../../broker-auth/policy.ts';
import type { PolicyConfig } from '../../broker-auth/policy-config.ts';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';

/**
 * Reads the certificates that a policy's `trust` names.
 *
 * @param at a file that the configuration names, from its own folder
 * @throws BirthmarkError `config-invalid`
 */
export function readTrust(
  trust: NonNullable<PolicyConfig['trust']>,
  at: (file: string) => string,
): TrustedNamespace[] {
  return trust.map(({ namespace, anchorFiles, intermediateFiles = [], ownUnits = [] }, index) => {
    const read = (files: readonly string[], key: string) =>
      files.flatMap((file) => {
        const pem = readInput(at(file), { code: 'config-invalid' }).toString('latin1');
        return parsePemBlocks(pem, ['CERTIFICATE'], `trust.${index}.${key}`);
      });
    return {
      namespace,
      ...(namespace === OWN_NAMESPACE && { guests: { ownUnits } }),
      anchors: read(anchorFiles, 'anchorFiles'),
      intermediates: read(intermediateFiles, 'intermediateFiles'),
    };
  });
}
