import { BirthmarkError } from '../core/errors.ts';
import { type StepOptions, type StepResult, step } from './agent.ts';
import { backoffMs } from './backoff.ts';
import type { AgentParts } from './parts.ts';

const LEAST_SLEEP_MS = 5000;
/** Timers do not see a machine sleep, nor its clock being set: it looks up once an hour. */
const MOST_SLEEP_MS = 3_600_000;

/** Sleeps; ends early where the signal fires. */
export type Sleep = (milliseconds: number, signal: AbortSignal) => Promise<void>;

export interface RunOptions {
  /** Ends it, between two steps. */
  readonly stop: AbortSignal;
  readonly sleep: Sleep;
  /** Told after each step. */
  readonly onStep?: (result: StepResult) => void;
  /** Told of what keeps a step from being done at all; it is tried again. */
  readonly onFault: (error: BirthmarkError) => void;
  /** Asked before each step: what somebody wants now. */
  readonly wanted?: () => Pick<StepOptions, 'now' | 'look'>;
}

/** Renews for as long as it runs. Nothing that can be told ends it: what does not work now is tried again. */
export async function runAgent(
  parts: AgentParts,
  { stop, sleep, onStep, onFault, wanted }: RunOptions,
): Promise<void> {
  let faults = 0;
  while (!stop.aborted) {
    let wait: number;
    try {
      const result = await step(parts, wanted?.());
      faults = 0;
      onStep?.(result);
      wait = result.wakeAt - parts.time.now();
    } catch (error) {
      if (!(error instanceof BirthmarkError)) throw error;
      onFault(error);
      faults += 1;
      wait = backoffMs(faults, { random: parts.random, remainingMs: 0 });
    }
    if (!stop.aborted) await sleep(Math.min(Math.max(wait, LEAST_SLEEP_MS), MOST_SLEEP_MS), stop);
  }
}
