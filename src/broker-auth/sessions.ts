import type { CredentialId } from './credential.ts';
import type { Allowed, Identity } from './decide.ts';

/** Where a session lives: a broker has one session of a ClientId at most, whatever listener it comes by (MQTT 5 §3.1.4). */
export interface SessionPlace {
  readonly broker: string;
  readonly clientId: string;
}

/** A connection that was allowed, with the credential behind it. */
export interface Session extends SessionPlace {
  /** As the policy names it. */
  readonly listener: string;
  readonly identity: Identity;
  /** The certificate and those above it; empty where the broker shows a name only. */
  readonly credentials: readonly CredentialId[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
  readonly untilBy: Allowed['untilBy'];
}

/** A certificate, a key with all the certificates that are for it, or both. */
export interface TakenBack {
  readonly certificate?: Pick<CredentialId, 'issuerKeyId' | 'serial'>;
  /** Only where nobody may have the key any more: a renewal may be for the key of the certificate that it replaces. */
  readonly keyHash?: string;
}

/** The live sessions of one gate. A ClientId that connects again takes the place of the session before it (MQTT 5 §3.1.4). */
export class Sessions {
  readonly #onRemoved: (session: Session) => void;
  readonly #byPlace = new Map<string, Session>();
  readonly #byCredential = new Map<string, Set<Session>>();
  readonly #byIdentity = new Map<string, Set<Session>>();

  /** @param onRemoved told of each session that is live no more */
  constructor(onRemoved: (session: Session) => void = () => undefined) {
    this.#onRemoved = onRemoved;
  }

  get size(): number {
    return this.#byPlace.size;
  }

  add(session: Session): void {
    this.remove(session);
    this.#byPlace.set(placeKey(session), session);
    for (const key of credentialKeys(session)) index(this.#byCredential, key, session);
    index(this.#byIdentity, identityKey(session.identity), session);
  }

  /** Returns the session that was there. */
  remove(place: SessionPlace): Session | undefined {
    const session = this.#byPlace.get(placeKey(place));
    if (!session) return undefined;
    this.#byPlace.delete(placeKey(session));
    for (const key of credentialKeys(session)) unindex(this.#byCredential, key, session);
    unindex(this.#byIdentity, identityKey(session.identity), session);
    this.#onRemoved(session);
    return session;
  }

  get(place: SessionPlace): Session | undefined {
    return this.#byPlace.get(placeKey(place));
  }

  values(): IterableIterator<Session> {
    return this.#byPlace.values();
  }

  /** Those that stand on what was taken back: an issuing CA's certificate or key too. */
  standingOn({ certificate, keyHash }: TakenBack): readonly Session[] {
    const found = new Set(certificate && this.#byCredential.get(serialKey(certificate)));
    for (const session of (keyHash && this.#byCredential.get(keyHash)) || []) found.add(session);
    return [...found];
  }

  ofIdentity(identity: Identity): readonly Session[] {
    return [...(this.#byIdentity.get(identityKey(identity)) ?? [])];
  }

  /** Those whose time is over. */
  due(at: number): readonly Session[] {
    return [...this.#byPlace.values()].filter(({ until }) => until <= at);
  }
}

function placeKey({ broker, clientId }: SessionPlace): string {
  return `${broker}\n${clientId}`;
}

function identityKey({ namespace, id }: Identity): string {
  return `${namespace}\n${id}`;
}

function serialKey({ issuerKeyId, serial }: Pick<CredentialId, 'issuerKeyId' | 'serial'>): string {
  return `${issuerKeyId}/${serial}`;
}

function credentialKeys({ credentials }: Session): readonly string[] {
  return credentials.flatMap((id) => [serialKey(id), id.keyHash]);
}

function index(map: Map<string, Set<Session>>, key: string, session: Session): void {
  const before = map.get(key);
  if (before) before.add(session);
  else map.set(key, new Set([session]));
}

function unindex(map: Map<string, Set<Session>>, key: string, session: Session): void {
  const sessions = map.get(key);
  sessions?.delete(session);
  if (sessions?.size === 0) map.delete(key);
}
