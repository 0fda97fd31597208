import { BirthmarkError } from '../core/errors.ts';
import type { StatusFinding } from './ask-sources.ts';
import type { Credential } from './credential.ts';
import type { Denied, Identity } from './decide.ts';
import { deny } from './deny.ts';
import type { CredentialVerdict } from './judge-credential.ts';
import type { GatePolicy, ListenerPolicy } from './policy.ts';
import type { NameStatusSource } from './status-source.ts';
import { isPlain, type Variable, variablesOf } from './variables.ts';

/** A client whose evidence was believed. */
export interface KnownClient {
  readonly identity: Identity;
  readonly values: Map<Variable, string>;
  readonly credential?: Credential;
  readonly status: StatusFinding;
  readonly until: number;
}

/** The client behind a certificate, or why it is none. */
export function knowByCertificate(
  verdict: CredentialVerdict,
  { identity: place }: GatePolicy,
): KnownClient | Denied {
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
export function knowByName(
  name: string,
  { trust }: GatePolicy,
  listener: ListenerPolicy,
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
  const status = names && listener.status !== 'off' ? statusOfName(identity, listener, names) : NOT_ASKED;
  if ('allow' in status) return status;
  return { identity, values: new Map(values), status, until: Number.POSITIVE_INFINITY };
}

const NOT_ASKED: StatusFinding = { source: 'none' };

function statusOfName(
  identity: Identity,
  { status: mode, maxStatusAgeMs }: ListenerPolicy,
  names: NameStatusSource,
): StatusFinding | Denied {
  const known = names.statusOf(identity);
  if (!known) {
    const status = { source: 'none', gap: 'unknown' } as const;
    return mode === 'soft'
      ? status
      : deny('statusUnknown', 'nothing is known of its status', { identity, status });
  }
  const finding = { source: 'feed', ageMs: known.ageMs } as const;
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
