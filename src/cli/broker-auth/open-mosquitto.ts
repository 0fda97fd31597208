import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { findCanary } from '../../broker-auth/adapters/mosquitto/find-canary.ts';
import {
  type MosquittoGate,
  openMosquittoGate,
} from '../../broker-auth/adapters/mosquitto/mosquitto-gate.ts';
import type { DeniedSource } from '../../broker-auth/denied-entry.ts';
import type { MosquittoConfig } from '../../broker-auth/mosquitto-config.ts';
import { createMosquittoMetrics } from '../../broker-auth/mosquitto-metrics.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import { type CanaryWatch, watchCanaries } from '../../broker-auth/watch-canaries.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { LateDriver } from './late-driver.ts';
import { canaryFault, mosquittoFault } from './mosquitto-fault.ts';
import type { OpenGate } from './open-gate.ts';
import { canaryProbe } from './read-canaries.ts';
import { tellPluginEvents } from './tell-plugin-events.ts';

/** Who is told what changes in what is denied. */
export type DeniedWatcher = Pick<MosquittoGate, 'changed' | 'reloaded'>;

export interface OpenMosquittoOptions {
  readonly config: MosquittoConfig;
  readonly policy: GatePolicy;
  /** The gate that its sessions are in, which has the driver. */
  readonly open: OpenGate;
  readonly driver: LateDriver;
  readonly source: DeniedSource;
  /** CA certificates that are known beside the policy's trust. */
  readonly intermediates: () => readonly Uint8Array[];
  /** Tells the watcher of each change of the source from then on. */
  readonly watch: (watcher: DeniedWatcher) => void;
  readonly at: (file: string) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface OpenMosquitto {
  /** For `/readyz`; `fault` where nobody gets in, or the plugin is not asked. */
  facts(): { readonly fault?: string; readonly [fact: string]: unknown };
  close(): Promise<void>;
}

const TICK_MS = 1000;
const CANARIES_EVERY_MS = 60_000;

/**
 * Keeps what a Mosquitto with our plugin reads, and takes what it tells: sessions go into the gate, sightings and enforcement
 * to whom that tells of them.
 *
 * @throws BirthmarkError `config-invalid`, `key-file-permissions`, `key-file-unreadable`, `home-unreadable`, `listen-failed`
 */
export async function openMosquitto(options: OpenMosquittoOptions): Promise<OpenMosquitto> {
  const { config, policy, open, driver, source, intermediates, watch, at, clock, logger } = options;
  const { listener, canaries } = config;
  const { broker } = driver;
  const { registry } = open.metrics;
  const folder = at(config.folder);
  await assertFolder(folder);
  const probe = canaries && canaryProbe(canaries, at);
  const canary = probe && findCanary(probe.denied.certificate, policy.trust);
  let opened: MosquittoGate | undefined;
  let watching: CanaryWatch | undefined;
  const health = () => opened?.health() ?? { connected: false };
  const numbers = createMosquittoMetrics({
    registry,
    broker,
    health,
    finding: () => watching?.finding,
    clock,
  });
  const { epoch, sequence } = source.position();
  opened = await openMosquittoGate({
    ...{ broker, listener, policy, source, intermediates, clock },
    sessions: open.gate.sessions,
    snapshotFile: path.join(folder, 'snapshot'),
    keyFile: config.keyFile === undefined ? path.join(folder, 'key') : at(config.keyFile),
    eventsPath: at(config.eventsSocket),
    guard: open.guard,
    ...(canary && { canaries: [canary] }),
    onEvent: tellPluginEvents({ broker, listener, open, numbers, logger, ...(canary && { canary }) }),
    onError: (error) => logger.error({ err: error, broker }, 'a fault at the gate of Mosquitto; it goes on'),
  });
  const { tick, stop, driver: bound, reloaded } = opened;
  watch(opened);
  driver.bind(bound);
  const now = source.position();
  // What came while the first snapshot was made nobody has told.
  if (now.epoch !== epoch || now.sequence !== sequence) reloaded();
  const timer = setInterval(tick, TICK_MS);
  if (probe)
    watching = watchCanaries({
      probe: probe.run,
      everyMs: canaries.everySeconds === undefined ? CANARIES_EVERY_MS : canaries.everySeconds * 1000,
      onFinding: (finding, before) => {
        const facts = { broker, finding };
        if (finding === 'open') logger.fatal(facts, `ALARM: ${canaryFault(finding)}`);
        else if (finding === 'good' && before !== 'good')
          logger.info(facts, 'the canaries found Mosquitto asking');
        else if (finding !== before) logger.error(facts, canaryFault(finding));
      },
      onError: (error) => logger.error({ err: error, broker }, 'the canaries could not be sent'),
    });
  return {
    facts() {
      const found = health();
      const fault = mosquittoFault(found, watching?.finding);
      return {
        connected: found.connected,
        ...(found.taken && { snapshotAgeSeconds: Math.round((clock() - found.taken.issuedAt) / 1000) }),
        ...(watching && { canaries: watching.finding ?? 'unknown' }),
        ...(fault !== undefined && { fault }),
      };
    },
    async close() {
      clearInterval(timer);
      watching?.stop();
      await stop();
    },
  };
}

async function assertFolder(folder: string): Promise<void> {
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new BirthmarkError(
      'config-invalid',
      `mosquitto.folder: ${folder} is no folder; make it, with write access for the gate only and read access for Mosquitto`,
      { field: 'mosquitto.folder' },
    );
}
