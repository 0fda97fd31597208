import cluster, { type Worker } from 'node:cluster';
import type { Logger } from 'pino';
import { BirthmarkError, type ErrorCode } from '../../core/errors.ts';
import type { Addresses } from '../../server/listeners.ts';

/**
 * A worker turns over much memory and keeps little. A large young generation that is tidied before it is full costs a
 * tenth less time than V8's default; the old one is kept from growing to several times what is in it. Three processes
 * stay below 400 MB with this.
 */
const HEAP_FLAGS = [
  '--max-semi-space-size=32',
  '--min-semi-space-size=32',
  '--minor-gc-task-trigger=40',
  '--heap-growing-percent=20',
];
/** glibc otherwise gives each of V8's threads a heap of its own and keeps what was freed: 20 MB a worker. */
const MALLOC_LIMITS = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
};
const RESTART_AFTER_MS = 500;
const STOP_WITHIN_MS = 10_000;

/** What a worker tells when it accepts connections. */
export interface WorkerReady {
  readonly ready: Addresses;
}

/** What a worker tells that cannot serve, before it ends. */
export interface WorkerFailed {
  readonly failed: { readonly code: ErrorCode; readonly message: string };
}

/** Workers that bring in their code, which takes longer than all else, and wait for the word to begin. */
export interface ForkedWorkers {
  /**
   * Lets them serve, and starts a new one for each that dies. What a worker had answered is in the ledger; what it had only
   * reserved is finished by `onDeath`.
   *
   * @throws BirthmarkError what kept a worker from its start, with all of them ended
   */
  begin(onDeath: () => void): Promise<Addresses>;
  stop(): Promise<void>;
}

/** The word. */
const BEGIN = 'begin';

/** Forks worker processes that share the listeners' ports. */
export function forkWorkers(count: number, logger: Logger): ForkedWorkers {
  cluster.setupPrimary({ execArgv: [...process.execArgv, ...HEAP_FLAGS] });
  let state: 'starting' | 'serving' | 'stopping' = 'starting';
  let onDeath = (): void => undefined;
  const fork = () => {
    const worker = cluster.fork(MALLOC_LIMITS);
    // What cannot be told to one that is gone is no fault of the supervisor's: its `exit` says what is to be done.
    worker.on('error', (error) =>
      logger.warn({ err: error, worker: worker.id }, 'a worker could not be told'),
    );
    return worker;
  };
  const first = Array.from({ length: count }, fork);
  const stop = async () => {
    state = 'stopping';
    const workers = Object.values(cluster.workers ?? {}).filter(
      (worker): worker is Worker => worker !== undefined,
    );
    await Promise.all(workers.map(stopWorker));
  };
  cluster.on('message', (worker, message: unknown) => {
    if (state === 'serving' && isFailed(message))
      logger.error({ worker: worker.id, code: message.failed.code }, message.failed.message);
  });
  cluster.on('exit', (worker, code, signal) => {
    if (state !== 'serving') return;
    logger.error(
      { worker: worker.id, pid: worker.process.pid, code, signal },
      'a worker died; another one is started',
    );
    setTimeout(() => {
      if (state === 'serving') fork().send(BEGIN);
    }, RESTART_AFTER_MS);
    onDeath();
  });
  return {
    stop,
    async begin(whenOneDies) {
      onDeath = whenOneDies;
      try {
        const [addresses] = await Promise.all(
          first.map((worker) => {
            const ready = untilReady(worker);
            if (worker.isConnected()) worker.send(BEGIN);
            return ready;
          }),
        );
        if (!addresses) throw new Error('no worker was asked for');
        state = 'serving';
        return addresses;
      } catch (error) {
        await stop();
        throw error;
      }
    },
  };
}

/** Waits, in a worker, for the supervisor's word. */
export function untilToldToBegin(): Promise<true> {
  return new Promise((resolve) => {
    process.on('message', (message) => {
      if (message === BEGIN) resolve(true);
    });
  });
}

function untilReady(worker: Worker): Promise<Addresses> {
  return new Promise((resolve, reject) => {
    if (worker.isDead()) reject(new Error('a worker ended before it was asked to begin'));
    worker.on('message', (message: unknown) => {
      if (isReady(message)) resolve(message.ready);
      if (isFailed(message)) reject(new BirthmarkError(message.failed.code, message.failed.message));
    });
    worker.once('exit', (code) => reject(new Error(`a worker ended with ${code} before it was ready`)));
  });
}

function isReady(message: unknown): message is WorkerReady {
  return typeof message === 'object' && message !== null && 'ready' in message;
}

function isFailed(message: unknown): message is WorkerFailed {
  return typeof message === 'object' && message !== null && 'failed' in message;
}

async function stopWorker(worker: Worker): Promise<void> {
  if (worker.isDead()) return;
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.process.kill('SIGTERM');
  const timer = setTimeout(() => worker.process.kill('SIGKILL'), STOP_WITHIN_MS);
  await gone;
  clearTimeout(timer);
}
