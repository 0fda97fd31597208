import type { Logger } from 'pino';
import type { DeniedSource } from '../../broker-auth/denied-entry.ts';
import type { QuarantineReport, QuarantineResult } from '../../broker-auth/guard/quarantine-reporter.ts';
import type { SightingReport } from '../../broker-auth/sighting-reporter.ts';
import { type AuthorityOptions, createAuthorityClient } from '../../broker-auth/status/authority-client.ts';
import { deniedChanges, deniedSource } from '../../broker-auth/status/denied-source.ts';
import { followFeed } from '../../broker-auth/status/follow-feed.ts';
import { knownIntermediates } from '../../broker-auth/status/known-intermediates.ts';
import { readStored, type StatusStore, type StoredRules } from '../../broker-auth/status/status-store.ts';
import {
  endAllTakenBack,
  endTakenBack,
  nameSource,
  tableSource,
} from '../../broker-auth/status/table-source.ts';
import type { NameStatusSource, StatusSource } from '../../broker-auth/status-source.ts';
import type { Clock } from '../../core/clock.ts';
import type { RandomBytes } from '../../core/random.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import { openTrust, type Trust } from '../../x509/path/trust.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';
import type { GateConfig } from './gate-config.ts';
import type { LoadedGate } from './load-gate.ts';
import type { OpenGate } from './open-gate.ts';
import type { DeniedWatcher } from './open-mosquitto.ts';
import type { StatusFacts } from './readiness.ts';
import { openStatusFiles } from './status-files.ts';

export interface OpenFeedOptions {
  readonly loaded: LoadedGate;
  readonly authority: NonNullable<GateConfig['authority']>;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly random: RandomBytes;
  readonly logger: Logger;
}

/** The authority's feed, followed. */
export interface OpenFeed {
  readonly source: StatusSource;
  readonly names: NameStatusSource;
  readonly denied: DeniedSource;
  /** CA certificates that the snapshot tells. */
  readonly intermediates: () => readonly Uint8Array[];
  facts(): StatusFacts;
  /** A device was denied by its name: it may have another certificate by now. */
  refresh(): void;
  /** From now on what is taken back is ended there; what was while no gate was there, at once. */
  watch(open: OpenGate): void;
  /** From now on it is told what is denied. */
  tell(watcher: DeniedWatcher): void;
  sendSightings(report: SightingReport): Promise<void>;
  sendQuarantines(report: QuarantineReport): Promise<readonly QuarantineResult[]>;
  stop(): Promise<void>;
}

const SEND_WITHIN_MS = 10_000;

/**
 * Follows the authority of a gate that stands alone, from what is on disk.
 *
 * @throws BirthmarkError `config-invalid`, `key-file-permissions`, `key-file-unreadable`
 */
export async function openFeed(options: OpenFeedOptions): Promise<OpenFeed> {
  const { loaded, authority: config, clock, steady, random, logger } = options;
  const { at, policy } = loaded;
  const store = openStatusFiles(at(config.snapshotFile));
  const trust = signerTrust(config, at);
  const holders = [...policy.listeners.values()].some(({ evidence }) => evidence === 'name');
  const start = await readDisk(store, { trust, at: clock(), steady, holders }, logger);
  const access = accessOf(config, at);
  const authority = createAuthorityClient(access);
  const source = tableSource(() => following.known, steady);
  const names = nameSource(() => following.known, steady);
  const watchers = new Set<DeniedWatcher>();
  let open: OpenGate | undefined;
  const following = followFeed({
    ...access,
    ...{ store, trust, holders, clock, steady, random, ...(start && { start }) },
    onChange: (change) => {
      for (const watcher of watchers) watcher.changed(deniedChanges(change));
      if (open) endTakenBack(open.gate, change, open.reporter);
    },
    onTable: () => {
      for (const watcher of watchers) watcher.reloaded();
      if (open) endAllTakenBack(open.gate, source, names);
    },
    onFault: (error) =>
      logger.warn({ err: error }, 'the authority cannot be followed at the moment; it is tried again'),
  });
  return {
    source,
    names,
    intermediates: knownIntermediates(() => following.known),
    denied: deniedSource(() => following.known, clock, steady),
    facts: () => ({
      connected: following.connected,
      ageMs: following.known?.table.ageMs(steady.now()),
    }),
    refresh: () => following.refresh(),
    watch(opened) {
      open = opened;
      if (following.known) endAllTakenBack(opened.gate, source, names);
    },
    tell: (watcher) => void watchers.add(watcher),
    sendSightings: (report) => authority.sendSightings(report, AbortSignal.timeout(SEND_WITHIN_MS)),
    sendQuarantines: (report) => authority.sendQuarantines(report, AbortSignal.timeout(SEND_WITHIN_MS)),
    stop: () => following.stop(),
  };
}

type AuthorityConfig = OpenFeedOptions['authority'];

function accessOf(config: AuthorityConfig, at: LoadedGate['at']): AuthorityOptions {
  const { url, caFile, tokenFile, certificateFile, keyFile } = config;
  const read = (file: string) => readInput(at(file), { code: 'config-invalid' }).toString('latin1');
  const token = tokenFile === undefined ? undefined : () => readSecretFile(at(tokenFile)).trim();
  // What is wrong with it shows at start.
  token?.();
  return {
    url,
    ca: read(caFile),
    ...(token && { token }),
    ...(certificateFile !== undefined && { cert: read(certificateFile) }),
    ...(keyFile !== undefined && { key: readSecretFile(at(keyFile)) }),
  };
}

/**
 * Who may have certified the signer of snapshots.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function signerTrust({ caFile, signerCaFile }: AuthorityConfig, at: LoadedGate['at']): Trust {
  const pem = readInput(at(signerCaFile ?? caFile), { code: 'config-invalid' });
  return openTrust({
    anchors: parsePemBlocks(pem.toString('latin1'), ['CERTIFICATE'], 'authority.signerCaFile'),
  });
}

/** What cannot be read is fetched anew. */
async function readDisk(store: StatusStore, rules: StoredRules, logger: Logger) {
  try {
    return await readStored(store, {
      ...rules,
      onClockBack: (seen) =>
        logger.error(
          { seen: new Date(seen).toISOString() },
          'the clock stands before what it said when the gate ran last: what is known of statuses counts as too old until the authority is heard',
        ),
    });
  } catch (error) {
    logger.warn({ err: error }, 'what is known of statuses on disk cannot be used');
    return undefined;
  }
}
