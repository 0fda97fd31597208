import type { RandomBytes } from '../core/random.ts';
import type { Refusal } from '../x509/path/verdict.ts';
import type { StatusFinding } from './ask-sources.ts';
import { clientIdFault } from './client-id.ts';
import type { Credential } from './credential.ts';
import { type DecisionStep, tellAllowed, tellKnown } from './decision-steps.ts';
import { deny } from './deny.ts';
import { type Evidence, suffices } from './evidence.ts';
import { fitsRole } from './fits-role.ts';
import type { JudgeCredential } from './judge-credential.ts';
import { type KnownClient, knowByCertificate, knowByName } from './known-client.ts';
import type { GatePolicy, ListenerPolicy } from './policy.ts';
import type { NameStatusSource } from './status-source.ts';
import { fillTopicRules, type Permissions } from './topic-rules.ts';

/** Why a connection is denied: what is wrong with its certificate, or with what it asked for. */
export type DenialReason =
  | Refusal
  /** The broker shows less of the client than the listener's policy asks. */
  | 'evidence'
  | 'listener'
  | 'identity'
  | 'role'
  | 'clientId'
  | 'exclusive'
  | 'topicRules'
  /** Said by the behaviour guard. */
  | 'blocked'
  | 'throttled';

/** Who a client is: a device of a namespace. The same id of another namespace is somebody else. */
export interface Identity {
  readonly namespace: string;
  readonly id: string;
}

export interface ConnectAttempt {
  /** As the policy names it. */
  readonly listener: string;
  /** Empty where the client leaves the choice to the broker. */
  readonly clientId: string;
  readonly evidence: Evidence;
}

export interface Allowed {
  readonly allow: true;
  readonly identity: Identity;
  readonly role: string;
  readonly permissions: Permissions;
  /** Absent where the broker shows a name only. */
  readonly credential?: Credential;
  readonly status: StatusFinding;
  readonly exclusive: boolean;
  /** Milliseconds since the epoch: the session must be ended then. */
  readonly until: number;
  /** Why it ends then. */
  readonly untilBy: 'credential' | 'sessionAge';
}

export interface Denied {
  readonly allow: false;
  readonly reason: DenialReason;
  /** For people who run the broker: names the rule. */
  readonly detail: string;
  readonly identity?: Identity;
  readonly credential?: Credential;
  readonly status?: StatusFinding;
}

export type ConnectVerdict = Allowed | Denied;

/** Whether an identity has a live session under another ClientId. */
export type HasOtherSession = (identity: Identity, clientId: string) => boolean;

export interface DeciderOptions {
  readonly policy: GatePolicy;
  readonly judge: JudgeCredential;
  /** Where it is not given, the status of who shows a name only is left to its broker. */
  readonly names?: NameStatusSource;
  readonly hasOtherSession: HasOtherSession;
  readonly random: RandomBytes;
}

/** @param onStep told of each rule that is met, in order */
export type DecideConnect = (
  attempt: ConnectAttempt,
  at: number,
  onStep?: (step: DecisionStep) => void,
) => ConnectVerdict;

/**
 * Decides on a CONNECT, from memory: evidence, certificate and status, identity, role, ClientId, topics, in this order.
 * The first rule that is broken is the reason.
 */
export function createDecider({
  policy,
  judge,
  names,
  hasOtherSession,
  random,
}: DeciderOptions): DecideConnect {
  return ({ listener: name, clientId, evidence }, at, onStep) => {
    const listener = policy.listeners.get(name);
    if (!listener) return deny('listener', `the policy has no listener ${name}`);
    if (!suffices(evidence.level, listener.evidence))
      return deny(
        'evidence',
        `the broker shows ${SHOWN[evidence.level]}, and listener ${name} asks for ${SHOWN[listener.evidence]}`,
      );
    onStep?.({ rule: 'evidence', detail: `the broker shows ${SHOWN[evidence.level]}` });
    if (evidence.level === 'none') return deny('identity', 'the broker shows nothing of the client');
    const known =
      evidence.level === 'certificate'
        ? knowByCertificate(judge(evidence.leaf, evidence.chain, listener, at, evidence.stapled), policy)
        : knowByName(evidence.name, policy, listener, names);
    if ('allow' in known) return known;
    if (onStep) tellKnown(known, policy, onStep);
    return withRole(known, listener, clientId, at, onStep);
  };

  function withRole(
    known: KnownClient,
    listener: ListenerPolicy,
    clientId: string,
    at: number,
    onStep?: (step: DecisionStep) => void,
  ): ConnectVerdict {
    const { identity, values, credential, status } = known;
    const told = { identity, status, ...(credential && { credential }) };
    const role = policy.roles.find(
      (one) => (listener.roles?.includes(one.name) ?? true) && fitsRole(one, known, policy),
    );
    if (!role) return deny('role', `no role of listener ${listener.name} fits this client`, told);
    onStep?.({ rule: 'role', detail: `it has role ${role.name}` });
    const fault = clientIdFault(clientId, role.clientId, values);
    if (fault !== undefined) return deny('clientId', fault, told);
    if (role.exclusive && hasOtherSession(identity, clientId))
      return deny('exclusive', 'the device has a live session under another ClientId', told);
    onStep?.({ rule: 'clientId', detail: `${JSON.stringify(clientId)} is its own` });
    values.set('clientId', clientId);
    const permissions = fillTopicRules(role.topics, values);
    if ('fault' in permissions)
      return deny(
        'topicRules',
        `a topic rule of role ${role.name} cannot be filled: ${permissions.fault}`,
        told,
      );
    const ends = end(known, listener, at);
    if (onStep) tellAllowed(permissions, ends, onStep);
    return {
      allow: true,
      ...told,
      role: role.name,
      permissions,
      exclusive: role.exclusive,
      ...ends,
    };
  }

  function end({ until }: KnownClient, { maxSessionMs, sessionJitter }: ListenerPolicy, at: number) {
    if (maxSessionMs === undefined) return { until, untilBy: 'credential' } as const;
    const [chance = 0] = random(1);
    const aged = at + Math.round(maxSessionMs * (1 - (sessionJitter * chance) / 255));
    return aged < until
      ? ({ until: aged, untilBy: 'sessionAge' } as const)
      : ({ until, untilBy: 'credential' } as const);
  }
}

const SHOWN = { none: 'nothing', name: 'a name', certificate: 'the certificate' } as const;
