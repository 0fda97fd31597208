import cluster, { type Worker } from 'node:cluster';
import type { Logger } from 'pino';
import type { Addresses } from '../../server/listeners.ts';

const RESTART_AFTER_MS = 500;
const STOP_WITHIN_MS = 10_000;

/** What a worker tells when it accepts connections. */
export interface WorkerReady {
  readonly ready: Addresses;
}

export interface Workers {
  readonly addresses: Addresses;
  stop(): Promise<void>;
}

/**
 * Starts worker processes that share the listeners' ports, and a new one for each that dies. What a worker had answered
 * is in the ledger; what it had only reserved is finished by `onDeath`.
 */
export async function startWorkers(count: number, logger: Logger, onDeath: () => void): Promise<Workers> {
  let stopping = false;
  const start = () => cluster.fork();
  cluster.on('exit', (worker, code, signal) => {
    if (stopping) return;
    logger.error(
      { worker: worker.id, pid: worker.process.pid, code, signal },
      'a worker died; another one is started',
    );
    setTimeout(() => stopping || start(), RESTART_AFTER_MS);
    onDeath();
  });
  const first = await Promise.all(Array.from({ length: count }, () => untilReady(start())));
  const [addresses] = first;
  if (!addresses) throw new Error('no worker was asked for');
  return {
    addresses,
    stop: async () => {
      stopping = true;
      const workers = Object.values(cluster.workers ?? {}).filter(
        (worker): worker is Worker => worker !== undefined,
      );
      await Promise.all(workers.map(stopWorker));
    },
  };
}

function untilReady(worker: Worker): Promise<Addresses> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: unknown) => {
      if (isReady(message)) resolve(message.ready);
    });
    worker.once('exit', (code) => reject(new Error(`a worker ended with ${code} before it was ready`)));
  });
}

function isReady(message: unknown): message is WorkerReady {
  return typeof message === 'object' && message !== null && 'ready' in message;
}

async function stopWorker(worker: Worker): Promise<void> {
  if (worker.isDead()) return;
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.process.kill('SIGTERM');
  const timer = setTimeout(() => worker.process.kill('SIGKILL'), STOP_WITHIN_MS);
  await gone;
  clearTimeout(timer);
}
