import { type CanaryClient, type CanaryFinding, probeCanaries } from '../../broker-auth/canary.ts';
import type { CanariesConfig } from '../../broker-auth/mosquitto-config.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { readInput } from '../input-file.ts';

export interface CanaryProbe {
  readonly denied: CanaryClient;
  readonly run: () => Promise<CanaryFinding>;
}

/**
 * Two clients with what their files hold.
 *
 * @param at a file that the configuration names, from its own folder
 * @throws BirthmarkError `config-invalid`, `key-file-permissions`, `key-file-unreadable`
 */
export function canaryProbe(config: CanariesConfig, at: (file: string) => string): CanaryProbe {
  const { host, port, caFile, serverName } = config;
  const read = (file: string) => readInput(at(file), { code: 'config-invalid' }).toString('latin1');
  const client = ({ certificateFile, keyFile, clientId }: CanariesConfig['denied']): CanaryClient => ({
    clientId,
    certificate: read(certificateFile),
    key: readSecretFile(at(keyFile)),
  });
  const target = { host, port, ca: read(caFile), ...(serverName !== undefined && { serverName }) };
  const [denied, allowed] = [client(config.denied), client(config.allowed)];
  return { denied, run: () => probeCanaries(target, denied, allowed) };
}
