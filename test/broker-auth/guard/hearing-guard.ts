import type { Behaviour, BehaviourGuard, Origin } from '../../../src/broker-auth/ports.ts';

export interface Heard {
  readonly behaviour: Behaviour;
  readonly origin: Omit<Origin, 'session'>;
  readonly topic?: string;
}

/** A guard that restrains nobody and writes down what it hears. */
export function hearingGuard(changes: Partial<BehaviourGuard> = {}) {
  const heard: Heard[] = [];
  const guard: BehaviourGuard = {
    restraint: () => undefined,
    note: (behaviour, { session: _, ...origin }, _listener, _at, topic) =>
      heard.push({ behaviour, origin, ...(topic !== undefined && { topic }) }),
    quiet: () => undefined,
    isBlocked: () => false,
    blockedDevices: () => [],
    watches: () => true,
    ...changes,
  };
  return { guard, heard };
}
