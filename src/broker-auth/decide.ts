import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { findExtension } from '../x509/certificate.ts';
import { DerReader } from '../x509/der/reader.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { readPolicies } from '../x509/path/read-policies.ts';
import type { Refusal } from '../x509/path/verdict.ts';
import type { StatusFinding } from './ask-sources.ts';
import { clientIdFault } from './client-id.ts';
import type { Credential } from './credential.ts';
import { type DecisionStep, tellAllowed, tellKnown } from './decision-steps.ts';
import { type Evidence, suffices } from './evidence.ts';
import type { CredentialVerdict, JudgeCredential } from './judge-credential.ts';
import type { GatePolicy, ListenerPolicy, Role } from './policy.ts';
import type { NameStatusSource } from './status-source.ts';
import { fillTopicRules, type Permissions } from './topic-rules.ts';
import { isPlain, type Variable, type Variables, variablesOf } from './variables.ts';

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
        ? byCertificate(judge(evidence.leaf, evidence.chain, listener, at), policy)
        : byName(evidence.name, policy, listener, at, names);
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
      (one) => (listener.roles?.includes(one.name) ?? true) && fits(one, known, values, policy),
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

/** A client whose evidence was believed. */
export interface KnownClient {
  readonly identity: Identity;
  readonly values: Map<Variable, string>;
  readonly credential?: Credential;
  readonly status: StatusFinding;
  readonly until: number;
}

function byCertificate(verdict: CredentialVerdict, { identity: place }: GatePolicy): KnownClient | Denied {
  if (verdict.reason !== 'ok') {
    const { reason, detail, credential, status } = verdict;
    const identity = credential && identityOf(credential, place);
    return deny(reason, detail, {
      ...(identity && { identity }),
      ...(credential && { credential }),
      ...(status && { status }),
    });
  }
  const { credential, status, until } = verdict;
  const values = readValues(credential);
  if (values instanceof BirthmarkError) return deny('malformed', values.message, { credential, status });
  const id = values.get(place);
  if (id === undefined || !isPlain(id))
    return deny('identity', `the certificate does not give exactly one ${place} that is fit for a name`, {
      credential,
      status,
    });
  values.set('id', id);
  return { identity: { namespace: credential.namespace, id }, values, credential, status, until };
}

/** Who is denied: what a device does after its revocation is not to be held against its neighbours. */
function identityOf(credential: Credential, place: Variable): Identity | undefined {
  const values = readValues(credential);
  const id = values instanceof BirthmarkError ? undefined : values.get(place);
  return id !== undefined && isPlain(id) ? { namespace: credential.namespace, id } : undefined;
}

/** The validation of a path reads no more of a name than it compares. */
function readValues(credential: Credential): Map<Variable, string> | BirthmarkError {
  try {
    return variablesOf(credential);
  } catch (error) {
    if (error instanceof BirthmarkError) return error;
    throw error;
  }
}

/** No more is known of such a client than its name: it stands as long as not all that it may come with was taken back. */
function byName(
  name: string,
  { trust }: GatePolicy,
  listener: ListenerPolicy,
  at: number,
  names: NameStatusSource | undefined,
): KnownClient | Denied {
  const [namespace, ...more] = new Set(trust.map((one) => one.namespace));
  if (namespace === undefined || more.length > 0)
    return deny('identity', 'a name says nothing of its namespace, and the policy trusts more than one');
  if (!isPlain(name)) return deny('identity', 'the name that the broker shows is not fit for one');
  const identity = { namespace, id: name };
  const values: [Variable, string][] = [
    ['id', name],
    ['namespace', namespace],
  ];
  const status = names && listener.status !== 'off' ? statusOfName(identity, listener, at, names) : NOT_ASKED;
  if ('allow' in status) return status;
  return { identity, values: new Map(values), status, until: Number.POSITIVE_INFINITY };
}

const NOT_ASKED: StatusFinding = { source: 'none' };

function statusOfName(
  identity: Identity,
  { status: mode, maxStatusAgeMs }: ListenerPolicy,
  at: number,
  names: NameStatusSource,
): StatusFinding | Denied {
  const known = names.statusOf(identity);
  if (!known) {
    const status = { source: 'none', gap: 'unknown' } as const;
    return mode === 'soft'
      ? status
      : deny('statusUnknown', 'nothing is known of its status', { identity, status });
  }
  const finding = { source: 'feed', ageMs: Math.max(0, at - known.asOf) } as const;
  if (known.status !== 'good')
    return deny(
      known.status === 'held' ? 'onHold' : 'revoked',
      `the device's certificate is ${known.status}, and it was told of no other`,
      { identity, status: finding },
    );
  if (finding.ageMs <= maxStatusAgeMs) return finding;
  const status = { ...finding, gap: 'stale' } as const;
  const age = Math.round(finding.ageMs / 1000);
  return mode === 'soft'
    ? status
    : deny('statusUnknown', `its status was known ${age} s ago`, { identity, status });
}

function fits(
  { when }: Role,
  { credential }: KnownClient,
  values: Variables,
  { trust }: GatePolicy,
): boolean {
  const { namespaces, issuers, policies } = when;
  const namespace = values.get('namespace') ?? '';
  // Guests have a role only where it names them.
  if (!(namespaces ?? trust.map((one) => one.namespace)).includes(namespace)) return false;
  if (issuers && !issuers.includes(values.get('issuer.commonName') ?? '')) return false;
  if (!policies) return true;
  const extension = credential && findExtension(credential.tbs, EXTENSION.certificatePolicies);
  if (!extension) return false;
  const held = readPolicies(new DerReader(extension.value), 'certificatePolicies').policies;
  return policies.some((one) => held.includes(one));
}

function deny(reason: DenialReason, detail: string, told: Partial<Denied> = {}): Denied {
  return { allow: false, reason, detail, ...told };
}
