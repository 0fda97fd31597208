import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { createBlockDesk } from '../../broker-auth/guard/block-desk.ts';
import { mountDialects } from '../../broker-auth/mount-dialects.ts';
import { openStatuses, type Statuses } from '../../broker-auth/open-statuses.ts';
import { createStatusMetrics } from '../../broker-auth/status-metrics.ts';
import { systemClock, systemMonotonic } from '../../core/clock.ts';
import { writeDurably } from '../../core/durable-file.ts';
import { poolRandom } from '../../core/pooled-random.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { createSteadyClock } from '../../core/steady-clock.ts';
import { listenForCommands } from '../../server/gate-socket.ts';
import { createLogger } from '../logger.ts';
import { combineDenied } from './combine-denied.ts';
import { forgettingBrokers } from './forgetting-brokers.ts';
import { keepCrlFiles } from './keep-crl-files.ts';
import { createLateDriver } from './late-driver.ts';
import { listenGate } from './listen-gate.ts';
import { besideGate, gateSocket, type LoadedGate } from './load-gate.ts';
import { type OpenFeed, openFeed } from './open-feed.ts';
import { openGate } from './open-gate.ts';
import { type DeniedWatcher, openMosquitto } from './open-mosquitto.ts';
import { readiness, withParts } from './readiness.ts';
import { openSessionMemory } from './session-memory.ts';
import { statusFacts } from './status-facts.ts';

export interface ServeGateOptions {
  readonly loaded: LoadedGate;
  readonly readyFile?: string;
  /** Told once it accepts. */
  readonly onReady: (addresses: { readonly brokerAuth: string }) => void;
}

const random = poolRandom((size) => randomBytes(size));
const clock = systemClock;
const steady = createSteadyClock(systemClock, systemMonotonic);

/**
 * The gate alone, beside a broker, until SIGINT or SIGTERM. It answers at once, from what is on disk or with denials; that
 * the authority is away ends nothing.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid`, `key-file-permissions`, `key-file-unreadable`, `home-unreadable`
 */
export async function serveGate({ loaded, readyFile, onReady }: ServeGateOptions): Promise<void> {
  const stopped = untilStopped();
  const { config, at, policy } = loaded;
  const logger = createLogger(config.log?.level ?? 'info');
  const memory = await openSessionMemory(besideGate(loaded, 'sessions'), policy, logger);
  const closers: (() => Promise<void>)[] = [];
  try {
    const feed =
      config.authority &&
      (await openFeed({ loaded, authority: config.authority, clock, steady, random, logger }));
    if (feed) closers.unshift(() => feed.stop());
    const watchers = new Set<DeniedWatcher>();
    const statuses = await openListed(loaded, feed, logger, () => {
      for (const watcher of watchers) watcher.reloaded();
    });
    if (statuses) closers.unshift(() => statuses.close());
    const desk = createBlockDesk(clock);
    const driver = config.mosquitto && createLateDriver(config.mosquitto.broker ?? 'mosquitto');
    const http = config.http ?? {};
    const open = openGate({
      ...loaded,
      place: {
        gate: 'gate',
        blocksFile: besideGate(loaded, 'blocks.json'),
        desk,
        sendQuarantines: async (report) =>
          feed ? feed.sendQuarantines(report) : report.devices.map(() => 'unknown' as const),
      },
      brokers: config.brokers ?? {},
      ...(driver && { drivers: [driver] }),
      forgetting: forgettingBrokers(http),
      memory,
      sources: [...(feed ? [feed.source] : []), ...(statuses?.sources ?? [])],
      ...(statuses && { staples: statuses.staples }),
      ...(feed && { names: feed.names, intermediates: feed.intermediates }),
      onNameDenied: () => feed?.refresh(),
      statusAgeMs: () => feed?.facts().ageMs,
      clock,
      random,
      logger,
      ...(feed && { sendSightings: (report) => feed.sendSightings(report) }),
    });
    closers.unshift(() => open.close());
    feed?.watch(open);
    statuses?.watch(open.gate);
    if (statuses) createStatusMetrics(open.metrics.registry, statuses, steady);
    const commands = await listenForCommands({ blocks: desk, path: gateSocket(loaded), logger });
    closers.unshift(() => commands.close());
    const mosquitto =
      config.mosquitto &&
      driver &&
      feed &&
      (await openMosquitto({
        ...{ config: config.mosquitto, policy, open, driver, at, clock, logger },
        source: statuses ? combineDenied(feed.denied, statuses, steady) : feed.denied,
        intermediates: feed.intermediates,
        watch: (watcher) => {
          watchers.add(watcher);
          feed.tell(watcher);
        },
      }));
    if (mosquitto) closers.unshift(() => mosquitto.close());
    const crlFiles = config.crlFiles && keepCrlFiles({ files: config.crlFiles, at, clock, logger });
    if (crlFiles) closers.unshift(() => crlFiles.close());
    const listener = await listenGate({
      listen: config.listen,
      dialects: mountDialects(http, {
        gate: open.gate,
        clock,
        secretOf: (file) => readSecretFile(at(file)).trim(),
      }),
      readiness: () =>
        withParts(feed ? readiness(policy, feed.facts()) : {}, {
          ...(statuses && { status: statusFacts(statuses, policy, steady) }),
          ...(mosquitto && { mosquitto: mosquitto.facts() }),
          ...(crlFiles && { crlFiles: crlFiles.facts() }),
        }),
      metrics: open.metrics.registry,
      logger,
      clock,
      at,
    });
    closers.unshift(() => listener.close());
    const addresses = { brokerAuth: listener.address };
    if (readyFile !== undefined) writeDurably(readyFile, `${JSON.stringify(addresses)}\n`, 0o644);
    onReady(addresses);
    await stopped;
    logger.info('stopping');
  } finally {
    for (const step of closers) await step();
  }
}

/** Lists and answers of `[status]`; devices of our own trust are asked for as they come, CAs at once. */
async function openListed(
  { status, policy }: LoadedGate,
  feed: OpenFeed | undefined,
  logger: Logger,
  onList: () => void,
): Promise<Statuses | undefined> {
  if (!status) return undefined;
  const statuses = await openStatuses({
    ...status,
    ahead: policy.trust.flatMap(({ intermediates }) => intermediates),
    sources: feed ? [feed.source] : [],
    ...{ clock, steady, random, onList },
    onFault: (place, why) =>
      logger.warn(
        { place, why },
        'a list or an OCSP answer cannot be used; what is held stays, and it is tried again',
      ),
    onError: (error) => logger.error({ err: error }, 'a fault of what is kept of statuses; it goes on'),
  });
  const fault = statuses.clockFault();
  if (fault !== undefined) logger.error({ fault }, 'what was kept of lists and answers counts as too old');
  return statuses;
}

/** A signal that comes again must not cut short what the first began. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });
}
