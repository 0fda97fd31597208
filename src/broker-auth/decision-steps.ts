import type { Allowed } from './decide.ts';
import type { KnownClient } from './known-client.ts';
import type { GatePolicy } from './policy.ts';
import type { Permissions } from './topic-rules.ts';

/** A rule that was met, for people. */
export interface DecisionStep {
  readonly rule:
    | 'evidence'
    | 'certificate'
    | 'status'
    | 'identity'
    | 'role'
    | 'clientId'
    | 'topicRules'
    | 'session';
  readonly detail: string;
}

/** Tells of what was found out about a client before its role. */
export function tellKnown(
  { identity, credential, status }: KnownClient,
  { identity: place }: GatePolicy,
  onStep: (step: DecisionStep) => void,
): void {
  if (credential)
    onStep({
      rule: 'certificate',
      detail: `its path holds until ${new Date(credential.notAfter).toISOString()}, serial ${credential.serial}`,
    });
  const age = status.ageMs === undefined ? '' : `, ${Math.round(status.ageMs / 1000)} s ago`;
  const gap = status.gap === undefined ? '' : `: it is ${status.gap}, which this listener lets pass`;
  onStep({
    rule: 'status',
    detail:
      status.source === 'none'
        ? gap === ''
          ? 'not asked for'
          : `not known${gap}`
        : `good, as ${status.source} says${age}${gap}`,
  });
  onStep({ rule: 'identity', detail: `${identity.id} of namespace ${identity.namespace}, by ${place}` });
}

/** Tells of what a client may do, and for how long. */
export function tellAllowed(
  { publish, subscribe, deny: denied }: Permissions,
  { until, untilBy }: Pick<Allowed, 'until' | 'untilBy'>,
  onStep: (step: DecisionStep) => void,
): void {
  const list = (filters: readonly (readonly string[])[]) =>
    filters.length === 0 ? 'nothing' : filters.map((levels) => levels.join('/')).join(', ');
  const not = denied.length === 0 ? '' : `, never ${list(denied)}`;
  onStep({ rule: 'topicRules', detail: `publishes ${list(publish)}, subscribes ${list(subscribe)}${not}` });
  const end = Number.isFinite(until) ? new Date(until).toISOString() : 'the end of its connection';
  const why = untilBy === 'credential' ? 'the end of its certificate' : 'the oldest that a session may be';
  onStep({ rule: 'session', detail: `may last until ${end}, ${why}` });
}
