import type { CredentialId } from '../../credential.ts';
import { countsAsFailure, isOwnFault } from '../../guard/origin.ts';
import type { BehaviourGuard, Origin } from '../../ports.ts';
import type { Session, Sessions } from '../../sessions.ts';
import type { PluginEvent, PluginSession } from './plugin-event.ts';

export interface PluginSessionsOptions {
  /** As sessions name it. */
  readonly broker: string;
  readonly listener: string;
  readonly sessions: Sessions;
  /** The certificates above one that this CA issued, by the CA's key identifier. */
  readonly above: (issuerKeyId: string) => readonly CredentialId[];
  readonly guard?: BehaviourGuard;
  /** Denied each time that they are tried: that is no behaviour of a client. */
  readonly canaries?: readonly CredentialId[];
}

export interface PluginSessions {
  /** Takes an event in; gives the session that it is about, where it begins or ends one. */
  take(event: PluginEvent): Session | undefined;
  /** Resolves when the plugin has told all that is live once more. */
  listed(): Promise<void>;
  /** The plugin is gone: who waits for its list is told that there is none. */
  lost(): void;
}

/** Keeps the sessions of a gate as Mosquitto's plugin tells them, and what was seen of clients. */
export function createPluginSessions(options: PluginSessionsOptions): PluginSessions {
  const { broker, listener, sessions, above, guard, canaries = [] } = options;
  /** ClientIds since the plugin began its list. */
  let listing: Set<string> | undefined;
  const waiting = new Set<() => void>();

  function toSession(event: PluginSession): Session {
    const { clientId, issuerKeyId, serial, keyHash, namespace, id, since, until, untilBy } = event;
    const credentials = [{ issuerKeyId, serial, keyHash }, ...above(issuerKeyId)];
    return { broker, listener, clientId, identity: { namespace, id }, credentials, since, until, untilBy };
  }

  function endList(): void {
    for (const session of [...sessions.values()])
      if (session.broker === broker && session.listener === listener && !listing?.has(session.clientId))
        sessions.remove(session);
    listing = undefined;
    release();
  }

  function release(): void {
    for (const done of waiting) done();
    waiting.clear();
  }

  function note(behaviour: Parameters<BehaviourGuard['note']>[0], event: PluginEvent, topic?: string): void {
    const origin = originOf(event);
    if (origin) guard?.note(behaviour, origin, listener, event.at, topic);
  }

  return {
    take(event) {
      switch (event.event) {
        case 'hello':
          listing = new Set();
          return undefined;
        case 'listed':
          endList();
          return undefined;
        case 'connected':
        case 'live': {
          const session = toSession(event);
          listing?.add(session.clientId);
          sessions.add(session);
          if (event.event === 'connected') note('connect', event);
          return session;
        }
        case 'disconnected':
        case 'kicked': {
          if (event.event === 'disconnected' && event.how === 'abnormal') note('abnormalEnd', event);
          const place = { broker, listener, clientId: event.clientId ?? '' };
          // The ClientId may have a newer session by now: the end of the one before is told after its beginning.
          if (sessions.get(place)?.since !== event.since) return undefined;
          return sessions.remove(place);
        }
        case 'denied':
          if (countsAsFailure(event.reason, 'certificate') && !canaries.some((canary) => isOf(event, canary)))
            note('authenticationFailed', event);
          return undefined;
        case 'topicDenied':
          note('topicDenied', event, event.topic);
          return undefined;
        default:
          return undefined;
      }
    },
    listed: () =>
      new Promise((resolve) => {
        waiting.add(resolve);
      }),
    lost: () => {
      listing = undefined;
      release();
    },
  };
}

function isOf(
  { issuerKeyId, serial }: { readonly issuerKeyId?: string; readonly serial?: string },
  id: CredentialId,
): boolean {
  return serial === id.serial && issuerKeyId === id.issuerKeyId;
}

/** The identity is in an event only where the handshake proved it. */
function originOf(event: PluginEvent): Origin | undefined {
  if (!('address' in event) || event.address === undefined) return undefined;
  const { address, namespace, id, issuerKeyId, serial, keyHash } = event;
  const isIts = event.event !== 'denied' || isOwnFault(event.reason);
  const isShown = issuerKeyId !== undefined && serial !== undefined && keyHash !== undefined;
  return {
    address,
    ...(isIts && namespace !== undefined && id !== undefined && { identity: { namespace, id } }),
    ...(isShown && { credential: { issuerKeyId, serial, keyHash } }),
  };
}
