import { isIP } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import type { GatePolicy } from '../policy.ts';
import type { Behaviour } from '../ports.ts';
import { DEFAULT_RULES } from './default-rules.ts';
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
  readonly exempt: {
    readonly networks: readonly Network[];
    /** `NAMESPACE/ID`, or the beginning of some with `*` behind it. */
    readonly devices: readonly string[];
  };
  readonly breaker: { readonly moreThan: number; readonly part: number };
}

const SECOND_MS = 1000;
const DEFAULT_STEP_SECONDS = 10;
const DEFAULT_BLOCK_SECONDS = 300;
/** Each different topic is remembered for as long as it counts. */
const MOST_TOPICS = 10_000;
export const DEFAULT_BREAKER = { moreThan: 20, part: 0.05 };

/**
 * Holds the guard's configuration to what a schema cannot say.
 *
 * @param config where it is not given, or has no rules, those of `DEFAULT_RULES` hold
 * @param listeners the names that the policy has
 * @param proving those where clients prove who they are, which the defaults watch: see `provingListeners`
 * @throws BirthmarkError `config-invalid`
 */
export function parseGuard(
  config: GuardConfig | undefined,
  listeners: readonly string[],
  proving: readonly string[] = listeners,
): GuardRules {
  const { rules = defaultRules(listeners, proving), exempt = [], breaker = DEFAULT_BREAKER } = config ?? {};
  const twice = rules.findIndex(({ name }, at) => rules.findIndex((other) => other.name === name) < at);
  if (twice !== -1) throw invalid(`rules.${twice}.name`, `two rules are called ${rules[twice]?.name}`);
  const isDevice = (text: string) => text.startsWith(DEVICE);
  return {
    rules: rules.map((rule, at) => parseRule(rule, `rules.${at}`, listeners)),
    exempt: {
      networks: exempt.flatMap((text, at) => (isDevice(text) ? [] : [parseNetwork(text, `exempt.${at}`)])),
      devices: exempt.flatMap((text, at) => (isDevice(text) ? [parseDevice(text, `exempt.${at}`)] : [])),
    },
    breaker,
  };
}

/** Elsewhere all that counts does so against an address, and one device that fails would shut out all that are behind it. */
export function provingListeners(listeners: GatePolicy['listeners']): readonly string[] {
  return [...listeners.values()].flatMap(({ name, evidence }) => (evidence === 'certificate' ? [name] : []));
}

function defaultRules(listeners: readonly string[], proving: readonly string[]): typeof DEFAULT_RULES {
  if (proving.length === listeners.length) return DEFAULT_RULES;
  return proving.length === 0 ? [] : DEFAULT_RULES.map((rule) => ({ ...rule, listeners: [...proving] }));
}

const DEVICE = 'device:';

function parseRule(
  rule: NonNullable<GuardConfig['rules']>[number],
  field: string,
  known: readonly string[],
): GuardRule {
  const { name, behaviour, moreThan, withinSeconds, reaction, forSeconds, listeners } = rule;
  const unknown = listeners?.find((one) => !known.includes(one));
  if (unknown !== undefined)
    throw invalid(`${field}.listeners`, `there is no listener ${unknown}; there are ${known.join(', ')}`);
  if (listeners?.length === 0)
    throw invalid(`${field}.listeners`, 'it names no listener: leave it out for all of them, or the rule');
  if (forSeconds !== undefined && (reaction === 'log' || reaction === 'disconnect'))
    throw invalid(`${field}.forSeconds`, `${reaction} has no time; throttle, block and quarantine have one`);
  if (behaviour === 'silent' && moreThan !== 0)
    throw invalid(`${field}.moreThan`, 'silence is not counted: 0, and withinSeconds says how long it is');
  if (behaviour !== 'silent' && moreThan === 0 && RESTRAINING.includes(reaction))
    throw invalid(`${field}.moreThan`, `the very first ${behaviour} would restrain: at least 1`);
  if (behaviour === 'topicDenied' && moreThan > MOST_TOPICS)
    throw invalid(`${field}.moreThan`, `at most ${MOST_TOPICS} different topics are told apart`);
  const seconds = forSeconds ?? (reaction === 'throttle' ? DEFAULT_STEP_SECONDS : DEFAULT_BLOCK_SECONDS);
  return {
    ...{ name, behaviour, moreThan, reaction },
    withinMs: withinSeconds * SECOND_MS,
    forMs: seconds * SECOND_MS,
    ...(listeners && { listeners }),
  };
}

const RESTRAINING: readonly string[] = ['throttle', 'block', 'quarantine'];

function parseDevice(text: string, field: string): string {
  const name = text.slice(DEVICE.length);
  if (/^[^/*]+\/[^*]+\*?$/.test(name)) return name;
  throw invalid(field, `${text} is not like device:own/GW-1 or device:own/GW-*`);
}

function parseNetwork(text: string, field: string): Network {
  const [address = '', length, ...more] = text.split('/');
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  const bits = length === undefined ? most : Number(length);
  if (version === 0 || more.length > 0 || length === '' || !Number.isInteger(bits) || bits < 0 || bits > most)
    throw invalid(field, `${text} is no IP address, no network like 10.0.0.0/8, and no device:NAMESPACE/ID`);
  return { address, bits, family: version === 6 ? 'ipv6' : 'ipv4' };
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `guard.${field}: ${rule}`, { field: `guard.${field}` });
}
