import type { Clock } from '../core/clock.ts';
import type {
  Allowed,
  ConnectAttempt,
  ConnectVerdict,
  DecideConnect,
  DenialReason,
  Denied,
  Identity,
} from './decide.ts';
import type { Enforcer } from './enforcer.ts';
import type { KeptSession } from './kept-session.ts';
import type { BehaviourGuard, EndCause, Origin, SessionMemory } from './ports.ts';
import type { Session, SessionPlace, Sessions, TakenBack } from './sessions.ts';
import { mayPublish, mayReceive, maySubscribe, type Permissions } from './topic-rules.ts';

export interface GateConnect extends ConnectAttempt {
  readonly broker: string;
  /** IP address of the client, without port. */
  readonly address: string;
}

/** With the session that is live from now on. */
export type GateVerdict = (Allowed & { readonly session: Session }) | Denied;

export type TopicAct = 'publish' | 'subscribe' | 'receive';

/** What the adapters of all brokers speak to. */
export interface Gate {
  /** Decides on a CONNECT; where it allows, the session counts as live from now on. */
  connect(attempt: GateConnect): GateVerdict;
  /**
   * The broker says that a session is over.
   *
   * @param session which one, where the broker can tell: one that has taken its place lives on
   */
  disconnected(place: SessionPlace, how: 'clean' | 'abnormal', session?: Session): void;
  /** A session that is still live from before this process. */
  restore(kept: KeptSession): void;
  /** Whether a live session may do so; no live session, no. */
  mayAct(place: SessionPlace, act: TopicAct, topic: string): boolean;
  /**
   * Ends what stands on a certificate or a key that was taken back, at once. Returns how many sessions that is.
   *
   * @param barred its device has no other certificate to come back with
   */
  takenBack(what: TakenBack, cause: EndCause, barred?: boolean): number;
  /** Ends what a device has live at brokers that show its name only: nobody can tell which certificate it came with. */
  endNamed(identity: Identity, cause: EndCause): number;
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
  /** Told of each session that begins; that it ends `sessions` tells. */
  readonly memory?: SessionMemory;
  /** Told each verdict: for logs, metrics, and sightings. */
  readonly onVerdict?: (attempt: GateConnect, verdict: ConnectVerdict, tookMs: number) => void;
}

interface Live {
  readonly permissions: Permissions;
  readonly origin: Origin;
}

/** The gate at one or several brokers. */
export function createGate({
  decide,
  sessions,
  enforcer,
  clock,
  guard,
  memory,
  onVerdict,
}: GateOptions): Gate {
  const live = new WeakMap<Session, Live>();
  /** What the enforcer has been told of: it does not rest before they are gone, and they may do nothing meanwhile. */
  const ending = new WeakSet<Session>();

  function judge(attempt: GateConnect, at: number): ConnectVerdict {
    const { address, listener } = attempt;
    const stranger = guard?.restraint({ address }, listener, at);
    if (stranger) return { allow: false, ...stranger };
    const verdict = notTaken(decide(attempt, at), attempt);
    if (!verdict.allow) {
      guard?.note('authenticationFailed', originOfDenied(attempt, verdict), listener, at);
      return verdict;
    }
    const origin = originOf(attempt, verdict.identity);
    const known = guard?.restraint(origin, listener, at);
    if (known) return { allow: false, ...known, identity: verdict.identity };
    guard?.note('connect', origin, listener, at);
    return verdict;
  }

  /** Whoever holds a ClientId loses it to the same device only, whatever the rules of ClientIds leave open. */
  function notTaken(verdict: ConnectVerdict, attempt: GateConnect): ConnectVerdict {
    const holder = verdict.allow ? sessions.get(attempt)?.identity : undefined;
    if (!verdict.allow || !holder) return verdict;
    const { identity, credential, status } = verdict;
    if (holder.namespace === identity.namespace && holder.id === identity.id) return verdict;
    const told = { identity, status, ...(credential && { credential }) };
    return {
      allow: false,
      reason: 'clientId',
      detail: 'another device is connected with this ClientId',
      ...told,
    };
  }

  function begin(kept: KeptSession): void {
    const { session, permissions, address } = kept;
    const isProven = session.credentials.length > 0;
    sessions.add(session);
    live.set(session, {
      permissions,
      origin: { address, ...(isProven && { identity: session.identity }) },
    });
    memory?.begun(kept);
  }

  function end(ended: readonly Session[], cause: EndCause, barred = false): number {
    const fresh = ended.filter((session) => !ending.has(session));
    for (const session of fresh) ending.add(session);
    if (fresh.length > 0) enforcer.end(fresh, cause, barred);
    return fresh.length;
  }

  return {
    sessions,
    connect(attempt) {
      const begun = performance.now();
      const at = clock();
      const verdict = judge(attempt, at);
      if (!verdict.allow) {
        onVerdict?.(attempt, verdict, performance.now() - begun);
        return verdict;
      }
      const { broker, listener, clientId, address } = attempt;
      const { identity, credential, permissions, until, untilBy } = verdict;
      const credentials = credential?.path ?? [];
      const session = { broker, listener, clientId, identity, credentials, since: at, until, untilBy };
      begin({ session, permissions, address });
      onVerdict?.(attempt, verdict, performance.now() - begun);
      return { ...verdict, session };
    },
    restore: begin,
    disconnected(place, how, which) {
      const session = sessions.get(place);
      if (!session || (which && which !== session)) return;
      sessions.remove(session);
      const known = live.get(session);
      if (known && how === 'abnormal') guard?.note('abnormalEnd', known.origin, session.listener, clock());
    },
    mayAct(place, act, topic) {
      const session = sessions.get(place);
      const known = session && live.get(session);
      if (!known || ending.has(session) || clock() > session.until) return false;
      const { permissions } = known;
      const may = { publish: mayPublish, subscribe: maySubscribe, receive: mayReceive }[act](
        permissions,
        topic,
      );
      if (!may && act !== 'receive')
        guard?.note('topicDenied', known.origin, session.listener, clock(), topic);
      return may;
    },
    takenBack: (what, cause, barred) => end(sessions.standingOn(what), cause, barred),
    endNamed: (identity, cause) =>
      end(
        sessions.ofIdentity(identity).filter(({ credentials }) => credentials.length === 0),
        cause,
      ),
    endIdentity: (identity, cause) => end(sessions.ofIdentity(identity), cause),
    tick() {
      for (const [untilBy, due] of Map.groupBy(sessions.due(clock()), (session) => session.untilBy))
        end(due, untilBy === 'credential' ? 'expired' : 'sessionAge');
    },
  };
}

/** A name alone proves nothing: then only the address stands for what was done. */
function originOf({ address, evidence }: GateConnect, identity: Identity | undefined): Origin {
  return { address, ...(identity && evidence.level === 'certificate' && { identity }) };
}

/** What a device did itself, with a certificate that is good. */
const OWN_FAULTS: readonly DenialReason[] = ['role', 'clientId', 'exclusive', 'topicRules'];

/** Whoever has the key of a certificate that was taken back must not get the device blocked that has another one by now. */
function originOfDenied(attempt: GateConnect, { reason, identity, credential }: Denied): Origin {
  if (!credential || OWN_FAULTS.includes(reason)) return originOf(attempt, identity);
  const { issuerKeyId, serial } = credential;
  return { address: attempt.address, credential: { issuerKeyId, serial } };
}
