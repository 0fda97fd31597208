import { dirname, join, resolve } from 'node:path';
import { compilePolicy } from '../../broker-auth/adapters/mosquitto/compile-policy.ts';
import { type GuardRules, parseGuard, provingListeners } from '../../broker-auth/guard/parse-guard.ts';
import { parsePolicy } from '../../broker-auth/parse-policy.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { parseToml } from '../config/parse-toml.ts';
import { readInput } from '../input-file.ts';
import { checkService, checkSources } from './check-service.ts';
import { type GateConfig, GateConfigSchema } from './gate-config.ts';
import { type ReadStatusOptions, readStatusOptions } from './read-status-options.ts';
import { readTrust } from './read-trust.ts';

/** gate.toml with its rules checked. */
export interface LoadedGate {
  readonly config: GateConfig;
  readonly policy: GatePolicy;
  readonly guard: GuardRules;
  /** Where lists and answers come from. */
  readonly status?: ReadStatusOptions;
  /** A file that the configuration names, from its own folder. */
  readonly at: (file: string) => string;
}

/** Where commands reach the gate of this configuration while it runs. */
export function gateSocket({ config, at }: Pick<LoadedGate, 'config' | 'at'>): string {
  return config.commandSocket === undefined ? besideGate({ config, at }, 'sock') : at(config.commandSocket);
}

/** A file of the gate's own: beside the snapshot, or in the folder of `[status]` where no authority is followed. */
export function besideGate(
  { config: { authority, status }, at }: Pick<LoadedGate, 'config' | 'at'>,
  name: string,
): string {
  return authority ? `${at(authority.snapshotFile)}.${name}` : at(join(status?.folder ?? '.', name));
}

const parseConfigObject = schemaParser(GateConfigSchema, 'config-invalid');

/**
 * Reads gate.toml and the certificates that it names, and checks every rule, so that a mistake shows at start.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function loadGate(path: string): LoadedGate {
  const text = readInput(path, { code: 'config-invalid', option: '--config' }).toString('utf8');
  const at = (file: string) => resolve(dirname(path), file);
  try {
    return parseGate(text, at);
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    throw new BirthmarkError(error.code, `${path}: ${error.message}`, {
      cause: error,
      ...(error.field === undefined ? {} : { field: error.field }),
    });
  }
}

function parseGate(text: string, at: LoadedGate['at']): LoadedGate {
  const config = parseConfigObject(parseToml(text), '');
  const { identity, listeners, roles, guard, status } = config;
  const trust = readTrust(config.trust ?? [], at);
  if (trust.length === 0)
    throw new BirthmarkError('config-invalid', 'trust: name whose certificates are believed', {
      field: 'trust',
    });
  const policy = parsePolicy({ ...(identity && { identity }), listeners, roles }, trust);
  checkService(config, policy);
  checkSources(config, policy);
  if (config.mosquitto) compilePolicy(policy, config.mosquitto.listener);
  return {
    config,
    policy,
    ...(status && { status: readStatusOptions(status, at) }),
    guard: parseGuard(guard, [...policy.listeners.keys()], provingListeners(policy.listeners)),
    at,
  };
}
