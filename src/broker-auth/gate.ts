import type { Clock } from '../core/clock.ts';
import type { Allowed, ConnectAttempt, ConnectVerdict, DecideConnect, Denied, Identity } from './decide.ts';
import type { Enforcer } from './enforcer.ts';
import { countsAsFailure, originOfAllowed, originOfDenied, originOfSession } from './guard/origin.ts';
import type { KeptSession } from './kept-session.ts';
import type { Behaviour, BehaviourGuard, EndCause, Origin, SessionMemory } from './ports.ts';
import type { Session, SessionPlace, Sessions, TakenBack } from './sessions.ts';
import { mayPublish, mayReceive, maySubscribe, type Permissions } from './topic-rules.ts';

export interface GateConnect extends ConnectAttempt {
  readonly broker: string;
  /** IP address of the client, without port. */
  readonly address: string;
  /** The broker asks about all that a session sends and subscribes to, so that its silence shows. */
  readonly asksOfEachAct?: boolean;
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
  /** The certificate behind a session ends then, as its broker says now. */
  limit(session: Session, until: number): void;
  /** Whether a live session may do so; no live session, no. */
  mayAct(place: SessionPlace, act: TopicAct, topic: string): boolean;
  /** The broker saw that of a live session, and did not ask: for the behaviour guard. */
  saw(place: SessionPlace, behaviour: 'topicDenied' | 'undeliverable', topic: string): void;
  /** Whether the behaviour guard asks for it: what costs something to see need not be looked at otherwise. */
  watches(behaviour: Behaviour, listener: string): boolean;
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
  /** Ends one session; false where it is gone, or being ended. */
  endSession(session: Session, cause: EndCause): boolean;
  /** Ends the sessions whose time is over, and looks who is silent: to be called each second. */
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
  /** When it sent, subscribed or received something last; undefined where that would not show. */
  activeAt: number | undefined;
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
    const { address, listener, evidence } = attempt;
    // Who shows no certificate can prove nothing. All others may be a device that shares its address with an attacker.
    const stranger =
      evidence.level === 'certificate' ? undefined : guard?.restraint({ address }, listener, at);
    if (stranger) return { allow: false, ...stranger };
    const verdict = decide(attempt, at);
    if (!verdict.allow) return noteDenied(attempt, verdict, at);
    const free = notTaken(verdict, attempt);
    if (!free.allow) return free;
    const origin = originOfAllowed(attempt, verdict);
    const known = guard?.restraint(origin, listener, at);
    if (known) return { allow: false, ...known, identity: verdict.identity };
    guard?.note('connect', origin, listener, at);
    return verdict;
  }

  function noteDenied(attempt: GateConnect, verdict: Denied, at: number): Denied {
    const { listener } = attempt;
    if (!guard || !countsAsFailure(verdict.reason, attempt.evidence.level)) return verdict;
    const origin = originOfDenied(attempt, verdict);
    const known = guard.restraint(origin, listener, at);
    if (!known) guard.note('authenticationFailed', origin, listener, at);
    // What is wrong with a certificate says more than that it was shown too often.
    return known && !origin.credential ? { allow: false, ...known } : verdict;
  }

  /** Whoever holds a ClientId loses it to the same device only, whatever the rules of ClientIds leave open. */
  function notTaken(verdict: Allowed, attempt: GateConnect): ConnectVerdict {
    const holder = sessions.get(attempt)?.identity;
    if (!holder) return verdict;
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

  function begin(kept: KeptSession, activeAt?: number): void {
    const { session, permissions, address } = kept;
    sessions.add(session);
    live.set(session, { permissions, origin: originOfSession(session, address), activeAt });
    memory?.begun(kept);
  }

  function end(ended: readonly Session[], cause: EndCause, barred = false): number {
    const fresh = ended.filter((session) => !ending.has(session));
    for (const session of fresh) ending.add(session);
    if (fresh.length > 0) enforcer.end(fresh, cause, barred);
    return fresh.length;
  }

  function lookForSilence(watcher: BehaviourGuard, at: number): void {
    const watched = new Map<string, boolean>();
    for (const session of sessions.values()) {
      const { listener } = session;
      const isWatched = watched.get(listener) ?? watcher.watches('silent', listener);
      watched.set(listener, isWatched);
      const known = isWatched ? live.get(session) : undefined;
      if (known?.activeAt !== undefined && !ending.has(session))
        watcher.quiet(known.origin, listener, at, at - known.activeAt);
    }
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
      begin({ session, permissions, address }, attempt.asksOfEachAct ? at : undefined);
      onVerdict?.(attempt, verdict, performance.now() - begun);
      return { ...verdict, session };
    },
    restore: begin,
    limit(session, until) {
      const known = live.get(session);
      if (!known || ending.has(session) || sessions.get(session) !== session || until >= session.until)
        return;
      const { permissions, origin } = known;
      begin({ session: { ...session, until, untilBy: 'credential' }, permissions, address: origin.address });
    },
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
      const at = clock();
      if (!known || ending.has(session) || at > session.until) return false;
      if (known.activeAt !== undefined) known.activeAt = at;
      const { permissions } = known;
      const may = { publish: mayPublish, subscribe: maySubscribe, receive: mayReceive }[act](
        permissions,
        topic,
      );
      if (!may && act !== 'receive') guard?.note('topicDenied', known.origin, session.listener, at, topic);
      return may;
    },
    saw(place, behaviour, topic) {
      const session = sessions.get(place);
      const known = session && live.get(session);
      if (known && !ending.has(session))
        guard?.note(behaviour, known.origin, session.listener, clock(), topic);
    },
    watches: (behaviour, listener) => guard?.watches(behaviour, listener) ?? false,
    takenBack: (what, cause, barred) => end(sessions.standingOn(what), cause, barred),
    endNamed: (identity, cause) =>
      end(
        sessions.ofIdentity(identity).filter(({ credentials }) => credentials.length === 0),
        cause,
      ),
    endIdentity: (identity, cause) => end(sessions.ofIdentity(identity), cause),
    endSession: (session, cause) => sessions.get(session) === session && end([session], cause) > 0,
    tick() {
      if (guard) lookForSilence(guard, clock());
      for (const [untilBy, due] of Map.groupBy(sessions.due(clock()), (session) => session.untilBy))
        end(due, untilBy === 'credential' ? 'expired' : 'sessionAge');
    },
  };
}
