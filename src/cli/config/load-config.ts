import { readFileSync } from 'node:fs';
import { parseProfile } from '../../ca/parse-profile.ts';
import type { Profile } from '../../ca/profile.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { type Labels, parseLabels } from '../../enroll/label.ts';
import { DEFAULT_LABELS } from '../../enroll/label-config.ts';
import type { TrustedProxy } from '../../server/peer.ts';
import { checkBrokerAuth } from './broker-auth-config.ts';
import { checkBroker } from './broker-config.ts';
import { checkListen } from './check-listen.ts';
import { parseProxies } from './parse-proxies.ts';
import { parseToml } from './parse-toml.ts';
import { type Config, ConfigSchema } from './schema.ts';

const parseConfigObject = schemaParser(ConfigSchema, 'config-invalid');

/** The configuration with its rules checked. */
export interface LoadedConfig {
  readonly config: Config;
  readonly profiles: readonly Profile[];
  readonly proxies: readonly TrustedProxy[];
  readonly labels: Labels;
}

/**
 * Reads birthmark.toml and checks every rule of it, so that a mistake shows at start and not at the first request.
 *
 * @throws BirthmarkError `home-missing`, `config-invalid`
 */
export function loadConfig(path: string): LoadedConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw code === 'ENOENT'
      ? new BirthmarkError(
          'home-missing',
          `there is no home at this place (${path} is not there); birthmark init makes one`,
          { cause },
        )
      : new BirthmarkError(
          'config-invalid',
          `${path} cannot be read (${code}); is it a file, and may this user read it?`,
          { cause },
        );
  }
  try {
    return parseConfig(text);
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    throw new BirthmarkError(error.code, `${path}: ${error.message}`, {
      cause: error,
      ...(error.field === undefined ? {} : { field: error.field }),
    });
  }
}

/** @throws BirthmarkError `config-invalid` */
export function parseConfig(text: string): LoadedConfig {
  const config = parseConfigObject(parseToml(text), '');
  const issuers = Object.keys(config.authorities).filter((name) => name !== 'root');
  const profiles = Object.entries(config.profiles).map(([name, profile]) =>
    parseProfile(name, profile, issuers),
  );
  if (config.keyPolicy.minRsaBits > config.keyPolicy.maxRsaBits) {
    throw new BirthmarkError(
      'config-invalid',
      'keyPolicy.minRsaBits must not be above keyPolicy.maxRsaBits',
      { field: 'keyPolicy.minRsaBits' },
    );
  }
  checkListen(config.listen);
  if (config.broker) checkBroker(config.broker);
  if (config.brokerAuth) checkBrokerAuth(config.brokerAuth);
  return {
    config,
    profiles,
    proxies: parseProxies(config.proxies ?? []),
    labels: parseLabels(config.labels ?? DEFAULT_LABELS, profiles),
  };
}
