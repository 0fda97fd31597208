import { resolve } from 'node:path';
import { parsePolicy } from '../../broker-auth/parse-policy.ts';
import type { GatePolicy, TrustedNamespace } from '../../broker-auth/policy.ts';
import { DEFAULT_BROKER } from '../config/broker-config.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Home } from '../home.ts';
import { readTrust } from './read-trust.ts';

/**
 * The rules of `[broker]`; our own root is believed whatever else is.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function brokerPolicy(
  { config, profiles }: LoadedConfig,
  home: Home,
  own: Omit<TrustedNamespace, 'guests'>,
): GatePolicy {
  const { trust = [], serverNames: _names, guard: _guard, ...rules } = config.broker ?? DEFAULT_BROKER;
  const others = readTrust(trust, (file) => resolve(home.path, file));
  return parsePolicy(rules, [withGuests(own, profiles), ...others]);
}

/** Units of our profiles are not namespaces of guests. */
export function withGuests(
  own: Omit<TrustedNamespace, 'guests'>,
  profiles: LoadedConfig['profiles'],
): TrustedNamespace {
  return {
    ...own,
    guests: { ownUnits: profiles.flatMap(({ organizationalUnit }) => organizationalUnit ?? []) },
  };
}
