import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { createBlockDesk } from '../../broker-auth/guard/block-desk.ts';
import { mountDialects } from '../../broker-auth/mount-dialects.ts';
import { type AuthorityOptions, createAuthorityClient } from '../../broker-auth/status/authority-client.ts';
import { deniedChanges, deniedSource } from '../../broker-auth/status/denied-source.ts';
import { type Following, followFeed } from '../../broker-auth/status/follow-feed.ts';
import { knownIntermediates } from '../../broker-auth/status/known-intermediates.ts';
import { readStored, type StatusStore, type StoredRules } from '../../broker-auth/status/status-store.ts';
import {
  endAllTakenBack,
  endTakenBack,
  nameSource,
  tableSource,
} from '../../broker-auth/status/table-source.ts';
import { systemClock, systemMonotonic } from '../../core/clock.ts';
import { writeDurably } from '../../core/durable-file.ts';
import { poolRandom } from '../../core/pooled-random.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { createSteadyClock } from '../../core/steady-clock.ts';
import { listenForCommands } from '../../server/gate-socket.ts';
import { openTrust, type Trust } from '../../x509/path/trust.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';
import { createLogger } from '../logger.ts';
import { forgettingBrokers } from './forgetting-brokers.ts';
import { keepCrlFiles } from './keep-crl-files.ts';
import { createLateDriver } from './late-driver.ts';
import { listenGate } from './listen-gate.ts';
import { gateSocket, type LoadedGate } from './load-gate.ts';
import { type OpenGate, openGate } from './open-gate.ts';
import { type DeniedWatcher, openMosquitto } from './open-mosquitto.ts';
import { readiness, withParts } from './readiness.ts';
import { openSessionMemory } from './session-memory.ts';
import { openStatusFiles } from './status-files.ts';

export interface ServeGateOptions {
  readonly loaded: LoadedGate;
  readonly readyFile?: string;
  /** Told once it accepts. */
  readonly onReady: (addresses: { readonly brokerAuth: string }) => void;
}

const random = poolRandom((size) => randomBytes(size));
const clock = systemClock;
const steady = createSteadyClock(systemClock, systemMonotonic);
const SEND_WITHIN_MS = 10_000;

/**
 * The gate alone, beside a broker, until SIGINT or SIGTERM. It answers at once, from what is on disk or with denials; that
 * the authority is away ends nothing.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid`, `key-file-permissions`, `key-file-unreadable`
 */
export async function serveGate({ loaded, readyFile, onReady }: ServeGateOptions): Promise<void> {
  const stopped = untilStopped();
  const { config, at } = loaded;
  const logger = createLogger(config.log?.level ?? 'info');
  const store = openStatusFiles(at(config.authority.snapshotFile));
  const trust = trustOf(loaded);
  const holders = [...loaded.policy.listeners.values()].some(({ evidence }) => evidence === 'name');
  const memory = await openSessionMemory(
    `${at(config.authority.snapshotFile)}.sessions`,
    loaded.policy,
    logger,
  );
  const start = await readDisk(store, { trust, at: clock(), steady, holders }, logger);
  const source = tableSource(() => following.known, steady);
  const names = nameSource(() => following.known, steady);
  const intermediates = knownIntermediates(() => following.known);
  let open: OpenGate | undefined;
  const watchers = new Set<DeniedWatcher>();
  const access = authorityOf(loaded);
  const authority = createAuthorityClient(access);
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
  const desk = createBlockDesk(clock);
  const driver = config.mosquitto && createLateDriver(config.mosquitto.broker ?? 'mosquitto');
  const http = config.http ?? {};
  const gateOf = openGate({
    ...loaded,
    place: {
      gate: 'gate',
      blocksFile: `${at(config.authority.snapshotFile)}.blocks.json`,
      desk,
      sendQuarantines: (report) => authority.sendQuarantines(report, AbortSignal.timeout(SEND_WITHIN_MS)),
    },
    brokers: config.brokers ?? {},
    ...(driver && { drivers: [driver] }),
    forgetting: forgettingBrokers(http),
    memory,
    source,
    names,
    intermediates,
    onNameDenied: () => following.refresh(),
    statusAgeMs: () => ageOf(following),
    clock,
    random,
    logger,
    sendSightings: (report) => authority.sendSightings(report, AbortSignal.timeout(SEND_WITHIN_MS)),
  });
  open = gateOf;
  // What was taken back while no gate was there.
  if (following.known) endAllTakenBack(gateOf.gate, source, names);
  const { gate, metrics, close } = gateOf;
  const closers: (() => Promise<void>)[] = [close, () => following.stop()];
  try {
    const commands = await listenForCommands({ blocks: desk, path: gateSocket(loaded), logger });
    closers.push(() => commands.close());
    const mosquitto =
      config.mosquitto &&
      driver &&
      (await openMosquitto({
        ...{ config: config.mosquitto, policy: loaded.policy, open: gateOf, driver, at, clock, logger },
        source: deniedSource(() => following.known, clock, steady),
        intermediates,
        watch: (watcher) => void watchers.add(watcher),
      }));
    if (mosquitto) closers.push(() => mosquitto.close());
    const crlFiles = config.crlFiles && keepCrlFiles({ files: config.crlFiles, at, clock, logger });
    if (crlFiles) closers.push(() => crlFiles.close());
    const listener = await listenGate({
      listen: config.listen,
      dialects: mountDialects(http, {
        gate,
        clock,
        secretOf: (file) => readSecretFile(at(file)).trim(),
      }),
      readiness: () =>
        withParts(readiness(loaded.policy, { connected: following.connected, ageMs: ageOf(following) }), {
          ...(mosquitto && { mosquitto: mosquitto.facts() }),
          ...(crlFiles && { crlFiles: crlFiles.facts() }),
        }),
      metrics: metrics.registry,
      logger,
      clock,
      at,
    });
    try {
      const addresses = { brokerAuth: listener.address };
      if (readyFile !== undefined) writeDurably(readyFile, `${JSON.stringify(addresses)}\n`, 0o644);
      onReady(addresses);
      await stopped;
      logger.info('stopping');
    } finally {
      await listener.close();
    }
  } finally {
    for (const step of closers) await step();
  }
}

function authorityOf({ config: { authority }, at }: LoadedGate): AuthorityOptions {
  const { url, caFile, tokenFile, certificateFile, keyFile } = authority;
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

function trustOf({ config: { authority }, at }: LoadedGate): Trust {
  const pem = readInput(at(authority.signerCaFile ?? authority.caFile), { code: 'config-invalid' });
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

function ageOf({ known }: Following): number | undefined {
  return known?.table.ageMs(steady.now());
}

/** A signal that comes again must not cut short what the first began. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });
}
