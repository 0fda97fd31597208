import { execFile } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeHome, removeHome } from './house.ts';
import { makeLines } from './lines.ts';
import { median } from './statistics.ts';

const run = promisify(execFile);
const RUN = fileURLToPath(new URL('campaign-run.ts', import.meta.url));

/** Devices of each part. */
const SIZES = { canary: 2000, fleet: 100_000, killed: 5000, single: 200, leak: 1000 } as const;
const QUICK = { canary: 600, fleet: 1200, killed: 300, single: 30, leak: 100 } as const;

export interface CampaignResult {
  readonly devices: number;
  /** Certificates a second through the batch door, in the same process set up the same way. */
  readonly batchRate: number;
  /** Devices a second that were replaced: called, renewed by `POST /enroll`, seen, settled. */
  readonly rate: number;
  readonly ratio: number;
  /** The same by processor time a device, which neighbours on the machine disturb less. */
  readonly cpuRatio: number;
  readonly planMs: number;
  readonly predictedSeconds: number;
  readonly seconds: number;
  /** The prediction over what then happened. */
  readonly predictionRatio: number;
  readonly memory: {
    readonly firstThirdMiB: number;
    readonly lastThirdMiB: number;
    readonly mostMiB: number;
  };
  readonly kill: {
    /** From the opening of the house to the end of the engine's first turn. */
    readonly resumeMs: number;
    readonly followedBefore: number;
    readonly replaced: number;
    readonly members: number;
  };
  /** From the request to a gate of the same process that knows. */
  readonly oneRevocation: { readonly p50Ms: number; readonly p99Ms: number };
  readonly compromisedBatch: { readonly devices: number; readonly p50Ms: number; readonly p99Ms: number };
  readonly compromisedFleet: { readonly devices: number; readonly lastMs: number };
}

/**
 * A campaign over a fleet through the doors' own code by `inject`, no TLS, beside the batch door taken the same way in the same run.
 * Each stage is a process of its own on one home, so that memory is the house's and a kill is one.
 */
export async function benchCampaign(say: (text: string) => void, quick = false): Promise<CampaignResult> {
  const sizes = quick ? QUICK : SIZES;
  const [folder, home] = [makeHome(), makeHome()];
  let from = 0;
  const stage = async (word: string, batch: string, first: number, count: number, kill = 0) => {
    const words = [RUN, word, home, folder, batch, String(first), String(count), String(kill)];
    const { stdout } = await run(process.execPath, words, { maxBuffer: 1 << 24 });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  };
  const places = new Map<string, { readonly first: number; readonly count: number }>();
  for (const [part, count] of Object.entries(sizes)) {
    places.set(part, { first: from, count });
    from += count;
  }
  const on = (word: string, part: keyof typeof SIZES, kill = 0) => {
    const { first = 0, count = 0 } = places.get(part) ?? {};
    return stage(word, part, first, count, kill);
  };
  try {
    for (const kind of ['first', 'second']) {
      const files = await makeLines(folder, 0, from, 2);
      for (const [at, file] of files.entries()) renameSync(file, join(folder, `${kind}-${at}`));
    }
    say(`${2 * from} requests are made`);
    let batchRate = Number.NaN;
    let batchCpuMs = Number.NaN;
    for (const part of places.keys()) {
      const { rate, cpuMs } = await on('birth', part as keyof typeof SIZES);
      if (part === 'fleet') [batchRate, batchCpuMs] = [rate, cpuMs];
      say(`${part}: born at ${Math.round(rate)} a second, ${cpuMs.toFixed(2)} ms of processor`);
    }
    const canary = await on('replace', 'canary');
    say(`canary: ${Math.round(canary.rate)} a second`);
    const fleet = await on('replace', 'fleet');
    say(
      `fleet: ${Math.round(fleet.rate)} a second, predicted ${fleet.predicted.seconds} s, took ${fleet.seconds}, ${fleet.cpuMs.toFixed(2)} ms of processor`,
    );
    await on('replace', 'killed', Math.ceil(sizes.killed / 2)).then(
      () => {
        throw new Error('the process was to be killed');
      },
      () => undefined,
    );
    const resumed = await on('resume', 'killed');
    say(`resumed after ${Math.round(resumed.resumeMs)} ms`);
    const one = await on('single', 'single');
    const batch = await on('leak', 'leak');
    const whole = await on('leak', 'fleet');
    const memory: readonly number[] = fleet.memory;
    const third = Math.ceil(memory.length / 3);
    return {
      devices: sizes.fleet,
      batchRate: Math.round(batchRate),
      rate: Math.round(fleet.rate),
      ratio: round(fleet.rate / batchRate),
      cpuRatio: round(batchCpuMs / fleet.cpuMs),
      planMs: Math.round(fleet.planMs),
      predictedSeconds: fleet.predicted.seconds,
      seconds: round(fleet.seconds),
      predictionRatio: round(fleet.predicted.seconds / fleet.seconds),
      memory: {
        firstThirdMiB: Math.round(median(memory.slice(0, third))),
        lastThirdMiB: Math.round(median(memory.slice(-third))),
        mostMiB: Math.round(Math.max(...memory)),
      },
      kill: {
        resumeMs: Math.round(resumed.resumeMs),
        followedBefore: resumed.before,
        replaced: resumed.replaced,
        members: sizes.killed,
      },
      oneRevocation: { p50Ms: round(one.p50Ms), p99Ms: round(one.p99Ms) },
      compromisedBatch: { devices: batch.devices, p50Ms: round(batch.p50Ms), p99Ms: round(batch.p99Ms) },
      compromisedFleet: { devices: whole.devices, lastMs: Math.round(whole.lastMs) },
    };
  } finally {
    removeHome(home);
    removeHome(folder);
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
