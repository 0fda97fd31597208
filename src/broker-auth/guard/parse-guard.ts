import { isIP } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import type { Behaviour } from '../ports.ts';
import type { GuardConfig, REACTIONS } from './guard-config.ts';

export interface GuardRule {
  readonly name: string;
  readonly behaviour: Behaviour;
  readonly moreThan: number;
  readonly withinMs: number;
  readonly reaction: (typeof REACTIONS)[number];
  readonly forMs: number;
  /** Everywhere where absent. */
  readonly listeners?: readonly string[];
}

export interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

export interface GuardRules {
  readonly rules: readonly GuardRule[];
  readonly exempt: readonly Network[];
  readonly breaker: { readonly moreThan: number; readonly part: number };
}

const SECOND_MS = 1000;
const DEFAULT_FOR_SECONDS = 300;
const DEFAULT_BREAKER = { moreThan: 20, part: 0.05 };

/**
 * Holds the guard's configuration to what a schema cannot say.
 *
 * @param listeners the names that the policy has
 * @throws BirthmarkError `config-invalid`
 */
export function parseGuard(config: GuardConfig, listeners: readonly string[]): GuardRules {
  const names = new Set<string>();
  const rules = config.rules.map((rule, at): GuardRule => {
    const { name, behaviour, moreThan, withinSeconds, reaction, forSeconds = DEFAULT_FOR_SECONDS } = rule;
    if (names.has(name)) throw invalid(`rules.${at}.name`, `two rules are called ${name}`);
    names.add(name);
    const unknown = rule.listeners?.find((one) => !listeners.includes(one));
    if (unknown !== undefined) throw invalid(`rules.${at}.listeners`, `there is no listener ${unknown}`);
    if (rule.forSeconds !== undefined && reaction !== 'throttle' && reaction !== 'block')
      throw invalid(`rules.${at}.forSeconds`, `${reaction} has no time; throttle and block have one`);
    return {
      name,
      behaviour,
      moreThan,
      withinMs: withinSeconds * SECOND_MS,
      reaction,
      forMs: forSeconds * SECOND_MS,
      ...(rule.listeners && { listeners: rule.listeners }),
    };
  });
  return {
    rules,
    exempt: (config.exempt ?? []).map((text, at) => parseNetwork(text, `exempt.${at}`)),
    breaker: config.breaker ?? DEFAULT_BREAKER,
  };
}

function parseNetwork(text: string, field: string): Network {
  const [address = '', length, ...more] = text.split('/');
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  const bits = length === undefined ? most : Number(length);
  if (version === 0 || more.length > 0 || length === '' || !Number.isInteger(bits) || bits < 0 || bits > most)
    throw invalid(field, `${text} is no IP address, and no network like 10.0.0.0/8`);
  return { address, bits, family: version === 6 ? 'ipv6' : 'ipv4' };
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `guard.${field}: ${rule}`, { field: `guard.${field}` });
}
