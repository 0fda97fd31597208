import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import { createDecider } from './decide.ts';
import { createEnforcer, type Enforcer, type EnforcerOptions } from './enforcer.ts';
import { createGate, type Gate, type GateOptions } from './gate.ts';
import { createCredentialJudge } from './judge-credential.ts';
import type { StapledAnswers } from './ocsp/answer-source.ts';
import type { GatePolicy } from './policy.ts';
import type { BehaviourGuard, KickDriver } from './ports.ts';
import { Sessions } from './sessions.ts';
import type { NameStatusSource, StatusSource } from './status-source.ts';

export interface AssembleOptions
  extends Pick<EnforcerOptions, 'onEnded' | 'onError'>,
    Pick<GateOptions, 'onVerdict' | 'memory'> {
  readonly policy: GatePolicy;
  /** As `CredentialJudgeOptions` has them. */
  readonly intermediates?: () => readonly Uint8Array[];
  /** Asked in order. */
  readonly sources: readonly StatusSource[];
  readonly names?: NameStatusSource;
  /** Takes OCSP answers that came with a client. */
  readonly staples?: StapledAnswers;
  readonly drivers: readonly KickDriver[];
  readonly guard?: BehaviourGuard;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

export interface AssembledGate {
  readonly gate: Gate;
  readonly enforcer: Enforcer;
}

/** A gate out of its parts: rules, what is known of statuses, ways to end sessions. */
export function assembleGate(options: AssembleOptions): AssembledGate {
  const { policy, intermediates, sources, names, staples, drivers, guard, memory, clock, random } = options;
  const { onVerdict, onEnded, onError } = options;
  const sessions = new Sessions((session) => memory?.ended(session));
  const enforcer = createEnforcer({ sessions, drivers, clock, onError, ...(onEnded && { onEnded }) });
  const decide = createDecider({
    policy,
    judge: createCredentialJudge({
      trust: policy.trust,
      sources,
      ...(staples && { staples }),
      ...(intermediates && { intermediates }),
    }),
    hasOtherSession: (identity, clientId) =>
      sessions.ofIdentity(identity).some((session) => session.clientId !== clientId),
    random,
    ...(names && { names }),
  });
  const gate = createGate({
    decide,
    sessions,
    enforcer,
    clock,
    ...(guard && { guard }),
    ...(memory && { memory }),
    ...(onVerdict && { onVerdict }),
  });
  return { gate, enforcer };
}
