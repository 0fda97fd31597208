import type { Clock } from '../core/clock.ts';
import type { CredentialId } from './credential.ts';
import type { Allowed, ConnectAttempt, ConnectVerdict, DecideConnect, Identity } from './decide.ts';
import type { Enforcer } from './enforcer.ts';
import type { BehaviourGuard, EndCause } from './ports.ts';
import type { Session, SessionPlace, Sessions } from './sessions.ts';
import { mayPublish, mayReceive, maySubscribe } from './topic-rules.ts';

export interface GateConnect extends ConnectAttempt {
  readonly broker: string;
  /** IP address of the client, without port. */
  readonly address: string;
}

export type TopicAct = 'publish' | 'subscribe' | 'receive';

/** What the adapters of all brokers speak to. */
export interface Gate {
  /** Decides on a CONNECT; where it allows, the session counts as live from now on. */
  connect(attempt: GateConnect): ConnectVerdict;
  /** The broker says that a session is over. */
  disconnected(place: SessionPlace, how: 'clean' | 'abnormal'): void;
  /** Whether a live session may do so; no live session, no. */
  mayAct(place: SessionPlace, act: TopicAct, topic: string): boolean;
  /** A certificate was taken back: ends what stands on it, at once. Returns how many sessions that is. */
  takenBack(id: CredentialId, cause: EndCause): number;
  /** Ends what a device has live. */
  endIdentity(identity: Identity, cause: EndCause): number;
  /** Ends the sessions whose time is over: to be called each second. */
  tick(): void;
  readonly sessions: Sessions;
}

export interface GateOptions {
  readonly decide: DecideConnect;
  readonly sessions: Sessions;
  readonly enforcer: Enforcer;
  readonly clock: Clock;
  readonly guard?: BehaviourGuard;
  /** Told each verdict: for logs, metrics, and sightings. */
  readonly onVerdict?: (attempt: GateConnect, verdict: ConnectVerdict, tookMs: number) => void;
}

interface Live {
  readonly allowed: Allowed;
  readonly address: string;
}

/** The gate at one or several brokers. */
export function createGate({ decide, sessions, enforcer, clock, guard, onVerdict }: GateOptions): Gate {
  const live = new WeakMap<Session, Live>();
  /** What the enforcer has been told of: it does not rest before they are gone, and they may do nothing meanwhile. */
  const ending = new WeakSet<Session>();

  function judge(attempt: GateConnect, at: number): ConnectVerdict {
    const { address, listener } = attempt;
    const stranger = guard?.restraint({ address }, listener, at);
    if (stranger) return { allow: false, ...stranger };
    const verdict = decide(attempt, at);
    if (!verdict.allow) {
      guard?.note('authenticationFailed', originOf(attempt, verdict.identity), listener, at);
      return verdict;
    }
    const origin = originOf(attempt, verdict.identity);
    const known = guard?.restraint(origin, listener, at);
    if (known) return { allow: false, ...known, identity: verdict.identity };
    guard?.note('connect', origin, listener, at);
    return verdict;
  }

  function end(ended: readonly Session[], cause: EndCause): number {
    const fresh = ended.filter((session) => !ending.has(session));
    for (const session of fresh) ending.add(session);
    if (fresh.length > 0) enforcer.end(fresh, cause);
    return fresh.length;
  }

  return {
    sessions,
    connect(attempt) {
      const begun = performance.now();
      const at = clock();
      const verdict = judge(attempt, at);
      if (verdict.allow) {
        const { broker, listener, clientId, address } = attempt;
        const { identity, credential, until, untilBy } = verdict;
        const credentials = credential?.path ?? [];
        const session = { broker, listener, clientId, identity, credentials, since: at, until, untilBy };
        sessions.add(session);
        live.set(session, { allowed: verdict, address });
      }
      onVerdict?.(attempt, verdict, performance.now() - begun);
      return verdict;
    },
    disconnected(place, how) {
      const session = sessions.remove(place);
      const origin = session && live.get(session);
      if (origin && how === 'abnormal')
        guard?.note(
          'abnormalEnd',
          { address: origin.address, identity: session.identity },
          place.listener,
          clock(),
        );
    },
    mayAct(place, act, topic) {
      const session = sessions.get(place);
      const known = session && live.get(session);
      if (!known || ending.has(session)) return false;
      const { permissions } = known.allowed;
      const may = { publish: mayPublish, subscribe: maySubscribe, receive: mayReceive }[act](
        permissions,
        topic,
      );
      if (!may && act !== 'receive') {
        const origin = { address: known.address, identity: session.identity };
        guard?.note('topicDenied', origin, place.listener, clock(), topic);
      }
      return may;
    },
    takenBack: (id, cause) => end(sessions.standingOn(id), cause),
    endIdentity: (identity, cause) => end(sessions.ofIdentity(identity), cause),
    tick() {
      for (const [untilBy, due] of Map.groupBy(sessions.due(clock()), (session) => session.untilBy))
        end(due, untilBy === 'credential' ? 'expired' : 'sessionAge');
    },
  };
}

/** A name alone proves nothing: then only the address stands for what was done. */
function originOf({ address, evidence }: GateConnect, identity: Identity | undefined) {
  return { address, ...(identity && evidence.level === 'certificate' && { identity }) };
}
