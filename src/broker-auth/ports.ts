import type { CredentialId } from './credential.ts';
import type { Identity } from './decide.ts';
import type { KeptSession } from './kept-session.ts';
import type { Session } from './sessions.ts';

/** Why a live session is ended. */
export type EndCause =
  /** Its key is in other hands: what it left at the broker is removed too, where the broker lets us. */
  | 'compromised'
  | 'revoked'
  /** Its device has a newer certificate: nothing but the connection ends, and the device is as welcome as before. */
  | 'superseded'
  | 'held'
  | 'expired'
  | 'sessionAge'
  | 'quarantined'
  | 'blocked'
  | 'exclusive';

/** What a driver that acts on ClientIds or names must know of whom it would hit. */
export interface KickScope {
  /** The device was taken back with its last certificate: it has none to come back with. */
  readonly barred: boolean;
  /** Whether that session is still the one in its place: a device keeps its ClientId when it comes with a new certificate. */
  isCurrent(session: Session): boolean;
}

/** Ends live sessions at one broker. */
export interface KickDriver {
  /** As `Session.broker` names it. */
  readonly broker: string;
  /** Milliseconds: the broker may not list, and not end, a session that was allowed so recently. At once where absent. */
  readonly listsWithinMs?: number;
  /** Tells the broker to end them; those that are gone already are no error. Rejects where the broker cannot be reached. */
  kick(sessions: readonly Session[], cause: EndCause, scope: KickScope): Promise<void>;
  /** Those of them that the broker still has. A broker that cannot be asked has none: then a kick is told and believed. */
  stillLive(sessions: readonly Session[]): Promise<readonly Session[]>;
  /**
   * When the certificates behind them end, in milliseconds since the epoch, where the broker tells more of them in its list than
   * it did when it asked.
   */
  ends?(sessions: readonly Session[]): Promise<ReadonlyMap<Session, number>>;
}

/** Remembers live sessions beyond the process. Neither call waits for a disk. */
export interface SessionMemory {
  begun(kept: KeptSession): void;
  ended(session: Session): void;
}

/** The file of a session memory: it grows at its end, and is written anew now and then. */
export interface SessionStore {
  /** What is there; undefined where there is nothing. */
  read(): AsyncIterable<Uint8Array> | undefined;
  /** Begins another one beside it, which nobody reads before it is published. */
  begin(): Promise<SessionFile>;
}

export interface SessionFile {
  /** Appends; a killed process loses nothing of what was appended, a power cut what was not synced. */
  append(lines: string): Promise<void>;
  sync(): Promise<void>;
  /** Puts it in the place of the one before, durably: there is the one or the other, whole, at any time. */
  publish(): Promise<void>;
  close(): Promise<void>;
}

/** Where a connection comes from, and whose it is as far as its handshake proved that. */
export interface Origin {
  /** IP address, without port. */
  readonly address: string;
  /** Only where possession of the credential's key was proven: nobody is to be blocked because somebody used its name. */
  readonly identity?: Identity;
  /** The certificate whose key was proven. Without an identity it is no good any more: its device may have another one since. */
  readonly credential?: Pick<CredentialId, 'issuerKeyId' | 'serial' | 'keyHash'>;
  /** The live one that did it. */
  readonly session?: Session;
}

/** What was seen of a client (MQTT 3.1.1 §5.4.8). */
export type Behaviour =
  | 'connect'
  | 'authenticationFailed'
  | 'abnormalEnd'
  | 'topicDenied'
  | 'undeliverable'
  | 'silent';

export interface Restraint {
  readonly reason: 'blocked' | 'throttled';
  /** For people who run the broker: which rule, since when, until when. */
  readonly detail: string;
}

/** Watches behaviour, for one listener each. */
export interface BehaviourGuard {
  /** Undefined where the connection may be judged. A throttle reckons from when it was asked and let one through. */
  restraint(origin: Origin, listener: string, at: number): Restraint | undefined;
  /** @param topic the topic that was denied or that nobody listens to */
  note(behaviour: Behaviour, origin: Origin, listener: string, at: number, topic?: string): void;
  /** A session has neither sent, subscribed nor received anything for so long: to be said again and again while that is so. */
  quiet(origin: Origin, listener: string, at: number, quietMs: number): void;
  /** Whether it is blocked, or in quarantine, there; nothing is reckoned from that. */
  isBlocked(origin: Origin, listener: string, at: number): boolean;
  /** Devices that get in nowhere at that listener, with what they showed: for brokers that decide by themselves. */
  blockedDevices(listener: string, at: number): readonly Required<Pick<Origin, 'identity' | 'credential'>>[];
  /** Whether a rule asks for it: what costs something to see need not be looked at otherwise. */
  watches(behaviour: Behaviour, listener: string): boolean;
}
