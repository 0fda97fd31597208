import type { Clock } from '../../../core/clock.ts';
import type { CredentialId } from '../../credential.ts';
import {
  certificateDigest,
  type DeniedChange,
  type DeniedEntry,
  type DeniedSource,
} from '../../denied-entry.ts';
import type { GatePolicy } from '../../policy.ts';
import type { BehaviourGuard, KickDriver, Origin } from '../../ports.ts';
import type { Session, Sessions } from '../../sessions.ts';
import { compilePolicy } from './compile-policy.ts';
import type { PluginEvent } from './plugin-event.ts';
import { openPluginListener } from './plugin-listener.ts';
import { createPluginSessions } from './plugin-sessions.ts';
import { createRestrained } from './restrained.ts';
import { openSigningKey } from './signing-key.ts';
import { SnapshotWriter } from './snapshot-writer.ts';

export interface MosquittoGateOptions {
  /** As sessions and kicks name this broker. */
  readonly broker: string;
  /** The listener of the policy whose rules hold at this broker. */
  readonly listener: string;
  readonly policy: GatePolicy;
  /** `plugin_opt_snapshot`, in a folder of its own. */
  readonly snapshotFile: string;
  /** The private key that signs it, made at the first start; `plugin_opt_key` is this with `.pub` behind. */
  readonly keyFile: string;
  /** `plugin_opt_events`. */
  readonly eventsPath: string;
  readonly source: DeniedSource;
  /** CA certificates beside those of the policy, as of when the source was reloaded. */
  readonly intermediates?: () => readonly Uint8Array[];
  readonly sessions: Sessions;
  readonly guard?: BehaviourGuard;
  readonly clock: Clock;
  /** Certificates that are always denied: see `probeCanary`. */
  readonly canaries?: readonly CredentialId[];
  /** Told each line of the plugin, with the session that began or ended by it: for sightings, metrics, logs. */
  readonly onEvent?: (event: PluginEvent, session: Session | undefined) => void;
  readonly onError: (error: unknown) => void;
}

export interface MosquittoGate {
  readonly driver: KickDriver;
  /** The source has taken these in. */
  changed(changes: readonly DeniedChange[]): void;
  /** The source holds something else altogether. */
  reloaded(): void;
  /** Looks whom the behaviour guard restrains: to be called each second. */
  tick(): void;
  /** Resolves when the snapshot knows all of now. */
  written(): Promise<void>;
  health(): MosquittoHealth;
  stop(): Promise<void>;
}

export interface MosquittoHealth {
  /** The plugin is connected. */
  readonly connected: boolean;
  /** The last snapshot that it took, and when, in milliseconds since the epoch. */
  readonly taken?: { readonly sequence: number; readonly issuedAt: number; readonly at: number };
  /** Why it refused the one after that. */
  readonly refused?: string;
}

/** A list that the plugin does not send within this time is asked for again by the enforcer. */
const LIST_WITHIN_MS = 2000;

/**
 * The gate at a Mosquitto with Birthmark's plugin: keeps its snapshot, and the sessions that it tells of. The plugin decides by
 * the snapshot alone, so a policy that it cannot express is refused here.
 *
 * @throws BirthmarkError `config-invalid`, `key-file-permissions`, `key-file-unreadable`, `home-unreadable`, `listen-failed`
 */
export async function openMosquittoGate(options: MosquittoGateOptions): Promise<MosquittoGate> {
  const { broker, listener, source, sessions, guard, clock, canaries = [], onEvent, onError } = options;
  const { intermediates = () => [] } = options;
  const compile = () => compilePolicy(options.policy, listener, intermediates());
  let policy = compile();
  const above = (keyId: string) => policy.issuers.find((issuer) => issuer.keyId === keyId)?.path ?? [];
  const told = createPluginSessions({
    ...{ broker, listener, sessions, above, canaries },
    ...(guard && { guard }),
  });
  const writer = new SnapshotWriter({
    file: options.snapshotFile,
    key: await openSigningKey(options.keyFile),
    policy: () => policy,
    source,
    clock,
    permanent: canaries.map(certificateEntry),
    onError,
  });
  const restrained = guard && createRestrained(guard, listener, (entries) => writer.block(entries));
  let connected = false;
  let asking: Promise<void> | undefined;
  let taken: MosquittoHealth['taken'];
  let refused: string | undefined;

  function onPluginEvent(heard: PluginEvent): void {
    const event = asBlocked(heard);
    const session = told.take(event);
    const seen = restrained && provenOf(event);
    if (seen) restrained.look(seen.origin, seen.credential, clock());
    if (event.event === 'refused') refused = event.why ?? 'the plugin does not say why';
    else if (event.event === 'snapshot' || event.event === 'hello') {
      const { sequence, issuedAt, at } = event;
      refused = event.why;
      const known = refused === undefined && sequence !== undefined && issuedAt !== undefined;
      taken = known ? { sequence, issuedAt, at } : undefined;
    }
    onEvent?.(event, session);
  }

  /** To the plugin a certificate that the guard has denied is one like those that were taken back. */
  function asBlocked(event: PluginEvent): PluginEvent {
    if (event.event !== 'denied' || event.issuerKeyId === undefined || event.serial === undefined)
      return event;
    const { issuerKeyId, serial } = event;
    if (event.reason !== 'revoked' || !restrained?.denies({ issuerKeyId, serial })) return event;
    return { ...event, reason: 'blocked', detail: 'the behaviour guard restrains its device' };
  }

  const plugin = await openPluginListener({
    path: options.eventsPath,
    onEvent: onPluginEvent,
    onConnected: (now) => {
      connected = now;
      if (!now) told.lost();
    },
    onError,
  });
  // Who was blocked when the gate stopped is denied from the first snapshot on.
  restrained?.tick(clock());
  await writer.start();

  const driver: KickDriver = {
    broker,
    kick: (asked) => {
      const before = clock();
      for (const {
        credentials: [leaf],
        identity,
      } of asked)
        if (leaf) restrained?.look({ address: '', identity }, leaf, before);
      const kicks = asked.flatMap(({ credentials: [leaf] }) =>
        leaf ? [{ certificate: certificateDigest(leaf), before }] : [],
      );
      return writer.kick(kicks);
    },
    async stillLive(asked) {
      // Without the plugin the broker cannot be asked, and its end is the end of its sessions: what is live is told when it comes.
      // One list answers all who ask meanwhile: an act may end a thousand sessions, each with a question of its own.
      if (asking === undefined && !plugin.ask()) return [];
      asking ??= told.listed().finally(() => {
        asking = undefined;
      });
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, LIST_WITHIN_MS);
      await Promise.race([asking, late.promise]);
      clearTimeout(timer);
      return asked.filter((session) => sessions.get(session)?.since === session.since);
    },
  };

  return {
    driver,
    changed: (changes) => writer.changed(changes),
    reloaded: () => {
      // A generation of a CA that came is in what was reloaded.
      policy = compile();
      writer.reloaded();
    },
    tick: () => restrained?.tick(clock()),
    written: () => writer.written(),
    health: () => ({ connected, ...(taken && { taken }), ...(refused !== undefined && { refused }) }),
    stop: async () => {
      await plugin.close();
      await writer.stop();
    },
  };
}

/** Whose credential an event is about, where a handshake proved it. */
function provenOf(
  event: PluginEvent,
): { readonly origin: Origin; readonly credential: CredentialId } | undefined {
  if (!('address' in event)) return undefined;
  const { address = '', namespace, id, issuerKeyId, serial, keyHash } = event;
  if (namespace === undefined || id === undefined) return undefined;
  if (issuerKeyId === undefined || serial === undefined || keyHash === undefined) return undefined;
  return { origin: { address, identity: { namespace, id } }, credential: { issuerKeyId, serial, keyHash } };
}

function certificateEntry(id: CredentialId): DeniedEntry {
  return { kind: 'certificate', digest: certificateDigest(id) };
}
