import cluster from 'node:cluster';
import type { BlockDesk } from '../../broker-auth/guard/block-desk.ts';
import { writeDurably } from '../../core/durable-file.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type Addresses, type Listeners, listen, listenLocally } from '../../server/listeners.ts';
import { lockHome } from '../../store/sqlite/lock-home.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Home } from '../home.ts';
import { createLogger } from '../logger.ts';
import { type House, openHouse } from '../wire.ts';
import { gatherInSupervisor, gatherInWorker } from './gather-numbers.ts';
import { apiOptions, ocspResponder, tlsIdentity } from './house-options.ts';
import { keepOwnCertificates } from './keep-own-certificates.ts';
import { finishAbandoned, keepUp, prepareToServe } from './upkeep.ts';
import {
  type ForkedWorkers,
  forkWorkers,
  untilToldToBegin,
  type WorkerFailed,
  type WorkerReady,
} from './workers.ts';

export interface ServeOptions {
  readonly home: Home;
  readonly loaded: LoadedConfig;
  readonly environment: NodeJS.ProcessEnv;
  readonly readyFile?: string;
  /** Also serves the broker. */
  readonly broker?: boolean;
  /** Told once everything accepts. */
  readonly onReady: (addresses: Addresses) => void;
}

/** A worker's reservations count as abandoned some seconds after its death. */
const FINISH_AFTER_DEATH_MS = 12_000;

/**
 * Serves a home until SIGINT or SIGTERM. With one worker this process does all of it; with more it supervises, keeps the
 * lists fresh and answers the Unix socket, and workers answer the network.
 *
 * @throws BirthmarkError `home-in-use`, `listen-failed`, or as `openHouse`
 */
export async function serve(options: ServeOptions): Promise<void> {
  if (cluster.isWorker) return serveAsWorker(options);
  const stopSignal = untilStopped();
  const lock = lockHome(options.home.path);
  const closers: (() => Promise<void> | void)[] = [() => lock.release()];
  try {
    const { config } = options.loaded;
    const forked =
      config.workers > 1 ? forkWorkers(config.workers, createLogger(config.log.level)) : undefined;
    if (forked) closers.unshift(() => forked.stop());
    const house = await openHouse(options.home, options.loaded, options.environment, { withOffice: true });
    closers.splice(closers.length - 1, 0, () => house.close());
    await prepareToServe(house);
    closers.unshift(keepUp(house), keepOwnCertificates(house));
    const network = forked ? await beginServing(forked, house) : await listenHere(house);
    closers.unshift(() => network.close());
    const gates = await openGates(house, options.broker ?? false);
    closers.unshift(() => gates.close());
    const addresses = { ...network.addresses, ...gates.addresses };
    const local = await listenLocally(
      { ...apiOptions(house), ...(gates.blocks && { blocks: gates.blocks }) },
      house.home.socket,
    );
    closers.unshift(() => local.close());
    if (options.readyFile !== undefined)
      writeDurably(options.readyFile, `${JSON.stringify(addresses)}\n`, 0o644);
    options.onReady(addresses);
    await stopSignal;
    house.logger.info('stopping');
  } finally {
    for (const close of closers) await close();
  }
}

async function beginServing(forked: ForkedWorkers, house: House): Promise<Listeners> {
  gatherInSupervisor(house.metrics);
  const addresses = await forked.begin(() => {
    setTimeout(() => {
      finishAbandoned(house).catch((error: unknown) =>
        house.logger.error({ err: error }, 'abandoned reservations are finished later'),
      );
    }, FINISH_AFTER_DEATH_MS).unref();
  });
  return { addresses, close: () => forked.stop() };
}

function listenHere(house: House): Promise<Listeners> {
  return listen({
    api: apiOptions(house),
    authorities: house.authorities,
    ocsp: ocspResponder(house),
    tls: tlsIdentity(house),
    at: house.loaded.config.listen,
  });
}

/** Our own broker, and the listener where others ask: their code is brought in where it is wanted only. */
async function openGates(
  house: House,
  withBroker: boolean,
): Promise<{
  readonly addresses: Partial<Addresses>;
  /** Whom they restrain. */
  readonly blocks?: BlockDesk;
  close(): Promise<void>;
}> {
  const { brokerAuth: section } = house.loaded.config;
  if (!withBroker && !section) return { addresses: {}, close: async () => {} };
  const { openHouseStatus } = await import('./house-status.ts');
  const status = await openHouseStatus(house);
  const closers = [() => status.stop()];
  const close = async () => {
    for (const step of closers) await step();
  };
  try {
    let addresses: Partial<Addresses> = {};
    if (section) {
      const { openBrokerAuth } = await import('./broker-auth.ts');
      const listener = await openBrokerAuth(house, section, status);
      closers.unshift(() => listener.close());
      addresses = { brokerAuth: listener.address };
    }
    if (withBroker) {
      const { openEmbeddedBroker } = await import('./embedded-broker.ts');
      const broker = await openEmbeddedBroker(house, status);
      closers.unshift(() => broker.close());
      addresses = { ...addresses, ...broker.addresses };
    }
    return { addresses, blocks: status.desk, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function serveAsWorker(options: ServeOptions): Promise<void> {
  // Ctrl-C reaches every process of the terminal; workers leave when the supervisor says so, or is gone.
  process.on('SIGINT', () => undefined);
  const stopped = new Promise<void>((resolve) => {
    process.on('SIGTERM', resolve);
    process.once('disconnect', resolve);
  });
  try {
    if (!(await Promise.race([untilToldToBegin(), stopped.then(() => false)]))) {
      cluster.worker?.disconnect();
      return;
    }
    const { house, listeners } = await openAsWorker(options);
    await tellSupervisor({ ready: listeners.addresses });
    await stopped;
    await listeners.close();
    house.close();
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    await tellSupervisor({ failed: { code: error.code, message: error.message } });
    process.exitCode = 1;
  }
  cluster.worker?.disconnect();
}

async function openAsWorker({
  home,
  loaded,
  environment,
}: ServeOptions): Promise<{ house: House; listeners: Listeners }> {
  const house = await openHouse(home, loaded, environment, {
    worker: String(cluster.worker?.id ?? 0),
    withOffice: true,
  });
  gatherInWorker(house.metrics);
  try {
    return { house, listeners: await listenHere(house) };
  } catch (error) {
    house.close();
    throw error;
  }
}

function tellSupervisor(message: WorkerReady | WorkerFailed): Promise<void> {
  return new Promise((resolve) => {
    // Where it is gone the worker leaves by itself.
    if (process.send) process.send(message, undefined, {}, () => resolve());
    else resolve();
  });
}

/** A signal that comes again (npm passes Ctrl-C on, systemd tells each process) must not cut short what the first began. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });
}

/** Warns where certificates would name an address that only this machine knows. */
export function loopbackWarning(publicUrl: string): string | undefined {
  const { hostname } = new URL(publicUrl);
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
  return loopback
    ? `certificates will name ${publicUrl}: nobody on another machine can fetch their issuer or check whether they were revoked; ` +
        'for real devices make the home with --public-url http://your.host'
    : undefined;
}
