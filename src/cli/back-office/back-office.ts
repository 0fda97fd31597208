import { Worker } from 'node:worker_threads';
import type { CrlRoom } from '../../ca/crl/room.ts';
import type { Actor } from '../../core/audit.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { NotedSightings, Sightings } from '../../fleet/note-sightings.ts';
import type { Revoker } from '../../fleet/revoker.ts';
import type { OfficeAnswer, OfficeFailure, OfficeSetup, OfficeTask } from './office-task.ts';

/** Does long works of the house in a thread of its own, so that nobody who asks the house waits for them. */
export interface BackOffice {
  readonly revoke: Revoker;
  readonly publish: NonNullable<CrlRoom['publishLarge']>;
  readonly note: (sightings: Sightings, actor: Actor) => Promise<NotedSightings>;
  /** Whether it is there now: then it keeps the write-ahead log short too. */
  isOpen(): boolean;
  /** Ends it when it has done what it was asked. */
  close(): void;
}

interface Waiting {
  resolve(answer: OfficeAnswer): void;
  reject(error: unknown): void;
}

interface Office {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

/** A thread takes a quarter of a second to come, and some 30 MB while it is there. */
const IDLE_MS = 30_000;
const THREAD = new URL('office-thread.ts', import.meta.url);

/** Begins the thread when there is something to do, and ends it some time after the last work. */
export function createBackOffice(setup: OfficeSetup): BackOffice {
  let office: Office | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last = 0;

  function begin(): Office {
    const worker = new Worker(THREAD, { workerData: setup });
    const waiting = new Map<number, Waiting>();
    const begun = { worker, waiting };
    const end = (error: unknown) => {
      if (office === begun) office = undefined;
      for (const one of waiting.values()) one.reject(error);
      waiting.clear();
    };
    worker.on('message', (answer: OfficeAnswer) => {
      const one = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (waiting.size === 0) rest(begun);
      if ('failed' in answer) one?.reject(toError(answer.failed));
      else one?.resolve(answer);
    });
    worker.on('error', end);
    worker.on('exit', () => end(new BirthmarkError('unavailable', 'the back office has closed')));
    return begun;
  }

  /** The process may end meanwhile. */
  function rest(resting: Office): void {
    resting.worker.unref();
    clearTimeout(idle);
    idle = setTimeout(() => {
      if (office === resting && resting.waiting.size === 0) close();
    }, IDLE_MS).unref();
  }

  function close(): void {
    clearTimeout(idle);
    const closing: OfficeTask = { kind: 'close' };
    office?.worker.postMessage(closing);
    office = undefined;
  }

  function ask(toTask: (id: number) => OfficeTask): Promise<OfficeAnswer> {
    office ??= begin();
    const { worker, waiting } = office;
    last += 1;
    const id = last;
    worker.ref();
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.postMessage(toTask(id));
    });
  }

  return {
    async revoke(order, actor) {
      const answer = await ask((id) => ({ kind: 'revoke', id, order, actor }));
      if ('revoked' in answer) return answer.revoked;
      throw mixedUp();
    },
    async publish(orders, now) {
      const answer = await ask((id) => ({ kind: 'publish', id, orders, now }));
      if ('published' in answer) return answer.published;
      throw mixedUp();
    },
    async note(sightings, actor) {
      const answer = await ask((id) => ({ kind: 'note', id, sightings, actor }));
      if ('noted' in answer) return answer.noted;
      throw mixedUp();
    },
    isOpen: () => office !== undefined,
    close,
  };
}

function toError({ code, message, field, stack }: OfficeFailure): Error {
  const cause = new Error(message);
  if (stack !== undefined) cause.stack = stack;
  if (code === undefined) return cause;
  return new BirthmarkError(code, message, { cause, ...(field !== undefined && { field }) });
}

function mixedUp(): BirthmarkError {
  return new BirthmarkError('internal', 'the back office answered something else than it was asked');
}
