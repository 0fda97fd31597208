// What each process of a house counted, for whichever of them is asked: a scrape reaches one of them only.
import cluster, { type Worker } from 'node:cluster';
import type { Numbers } from '../../broker-auth/join-metrics.ts';
import type { Metrics } from '../../server/metrics.ts';

type Counts = Pick<Metrics, 'own' | 'joinOthers'>;

interface NumbersWanted {
  readonly numbersWanted: number;
}

interface NumbersTold {
  readonly numbersOf: number;
  readonly numbers: readonly Numbers[];
}

type Send = (message: NumbersWanted | NumbersTold) => void;

/** Who does not answer by then is left out: a scrape must not wait for one that hangs. */
const ANSWER_WITHIN_MS = 2000;

/** Whom this process has asked, by the number of the question. */
const waiting = new Map<number, (numbers: readonly Numbers[]) => void>();
let asked = 0;

/** The supervisor's side: it hears all, and tells each worker of the others and of itself. */
export function gatherInSupervisor({ own, joinOthers }: Counts): void {
  const gather = async (but?: Worker) => {
    const workers = Object.values(cluster.workers ?? {}).flatMap((one) => (one && one !== but ? [one] : []));
    return (await Promise.all(workers.map((worker) => ask(sendTo(worker), ANSWER_WITHIN_MS)))).flat();
  };
  joinOthers(() => gather());
  cluster.on('message', (worker, message: unknown) =>
    hear(message, sendTo(worker), async () => (await Promise.all([own(), gather(worker)])).flat()),
  );
}

/** A worker's side. */
export function gatherInWorker({ own, joinOthers }: Counts): void {
  const send: Send = (message) => void process.send?.(message, undefined, {}, () => undefined);
  // The supervisor may have to wait for another worker.
  joinOthers(() => ask(send, 2 * ANSWER_WITHIN_MS));
  process.on('message', (message) => hear(message, send, own));
}

/** One that is gone, or going, hears nothing: that is no fault. */
function sendTo(worker: Worker): Send {
  return (message) => {
    if (worker.isConnected()) worker.process.send(message, undefined, {}, () => undefined);
  };
}

function ask(send: Send, withinMs: number): Promise<readonly Numbers[]> {
  asked += 1;
  const id = asked;
  return new Promise((resolve) => {
    const answer = (numbers: readonly Numbers[]) => {
      clearTimeout(timer);
      waiting.delete(id);
      resolve(numbers);
    };
    const timer = setTimeout(() => answer([]), withinMs);
    waiting.set(id, answer);
    send({ numbersWanted: id });
  });
}

function hear(message: unknown, send: Send, tell: () => Promise<readonly Numbers[]>): void {
  if (isTold(message)) waiting.get(message.numbersOf)?.(message.numbers);
  if (!isWanted(message)) return;
  tell().then(
    (numbers) => send({ numbersOf: message.numbersWanted, numbers }),
    // Who asked goes on without these numbers.
    () => undefined,
  );
}

function isWanted(message: unknown): message is NumbersWanted {
  return typeof message === 'object' && message !== null && 'numbersWanted' in message;
}

function isTold(message: unknown): message is NumbersTold {
  return typeof message === 'object' && message !== null && 'numbersOf' in message;
}
