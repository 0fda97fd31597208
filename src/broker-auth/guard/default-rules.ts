import type { GuardConfig } from './guard-config.ts';

type RuleConfig = NonNullable<GuardConfig['rules']>[number];

/**
 * What is watched where the configuration has no rules of its own, where clients show certificates. Wide enough for a device with a bad
 * line, and for a fleet that comes back at once. `undeliverable` and `silent` have no rule here: a backend that is away makes
 * every message undeliverable, and who waits for commands is silent by right; only who knows the fleet can say how much is odd.
 */
export const DEFAULT_RULES: readonly RuleConfig[] = [
  // Two devices of one identity take the session from each other about once a second.
  {
    name: 'reconnecting',
    behaviour: 'connect',
    moreThan: 20,
    withinSeconds: 60,
    reaction: 'throttle',
    forSeconds: 10,
  },
  {
    name: 'guessing',
    behaviour: 'authenticationFailed',
    moreThan: 20,
    withinSeconds: 60,
    reaction: 'block',
    forSeconds: 300,
  },
  {
    name: 'dropping',
    behaviour: 'abnormalEnd',
    moreThan: 30,
    withinSeconds: 600,
    reaction: 'throttle',
    forSeconds: 30,
  },
  // Where a publication that is denied ends the connection, each topic costs a handshake: hence so few within so long.
  {
    name: 'scanning',
    behaviour: 'topicDenied',
    moreThan: 20,
    withinSeconds: 300,
    reaction: 'block',
    forSeconds: 900,
  },
];
