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
const BARE = fileURLToPath(new URL('bare-door.ts', import.meta.url));

/** Devices of each part. */
const SIZES = {
  'line-canary': 20_000,
  fleet: 100_000,
  canary: 6000,
  devices: 10_000,
  killed: 3000,
  single: 200,
  leak: 1000,
} as const;
const QUICK = {
  'line-canary': 600,
  fleet: 1200,
  canary: 600,
  devices: 600,
  killed: 300,
  single: 30,
  leak: 100,
} as const;
type Part = keyof typeof SIZES;

/** A campaign, its rate beside the batch door's. */
export interface Carried {
  readonly devices: number;
  /** Devices a second that were replaced: called, renewed, seen, settled. */
  readonly rate: number;
  readonly ratio: number;
  /** The same by processor time a device, which neighbours on the machine disturb less. */
  readonly cpuRatio: number;
  readonly predictedSeconds: number;
  readonly seconds: number;
  /** The prediction over what then happened. */
  readonly predictionRatio: number;
}

export interface CampaignResult {
  /** Certificates a second through the batch door, in a process set up the same way, and what one costs. */
  readonly batchDoor: { readonly rate: number; readonly cpuMs: number };
  /** Renewed by the batch door, as a line does that has the devices back: what the campaign itself costs. */
  readonly byLines: Carried & { readonly planMs: number };
  /** Each by itself, by `POST /enroll` with its old certificate; `bareRatio`: the bare door's processor time over what one costs. */
  readonly byDevices: Carried & { readonly bareRatio: number };
  /** The least for one that comes by itself, see `bare-door.ts`; `cpuRatio`: the batch door's processor time over it. */
  readonly bareDoor: { readonly rate: number; readonly cpuMs: number; readonly cpuRatio: number };
  /** While the large one ran. */
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
  readonly compromisedBatch: Compromised;
  readonly compromisedMany: Compromised;
}

interface Compromised {
  readonly certificates: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lastMs: number;
}

/**
 * A campaign over a fleet through the doors' own code by `inject`, no TLS, beside the batch door taken the same way in the same run.
 * Each stage is a process of its own on one home, so that memory is the house's and a kill is one.
 */
export async function benchCampaign(say: (text: string) => void, quick = false): Promise<CampaignResult> {
  const sizes = quick ? QUICK : SIZES;
  const [folder, home] = [makeHome(), makeHome()];
  let from = 0;
  const stage = async (
    word: string,
    batch: string,
    first: number,
    count: number,
    way: string,
    kill: number,
    waves: number,
  ) => {
    const words = [
      RUN,
      word,
      home,
      folder,
      batch,
      String(first),
      String(count),
      way,
      String(kill),
      String(waves),
    ];
    const { stdout } = await run(process.execPath, words, { maxBuffer: 1 << 24 });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  };
  const places = new Map<string, { readonly first: number; readonly count: number }>();
  for (const [part, count] of Object.entries(sizes)) {
    places.set(part, { first: from, count });
    from += count;
  }
  const on = (word: string, part: Part, way = 'devices', kill = 0, waves = 10) => {
    const { first = 0, count = 0 } = places.get(part) ?? {};
    return stage(word, part, first, count, way, kill, waves);
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
      const { rate, cpuMs } = await on('birth', part as Part);
      if (part === 'fleet') [batchRate, batchCpuMs] = [rate, cpuMs];
      say(`${part}: born at ${Math.round(rate)} a second, ${cpuMs.toFixed(2)} ms of processor`);
    }
    // A canary by the same door in waves of the same size: the next campaign is predicted from it.
    await on('replace', 'line-canary', 'lines', 0, 2);
    const fleet = await on('replace', 'fleet', 'lines');
    say(
      `fleet: ${Math.round(fleet.rate)} a second, predicted ${fleet.predicted.seconds} s, took ${fleet.seconds}, ${fleet.cpuMs.toFixed(2)} ms of processor`,
    );
    await on('replace', 'canary', 'devices', 0, 6);
    const devices = await on('replace', 'devices', 'devices');
    say(`devices: ${Math.round(devices.rate)} a second, ${devices.cpuMs.toFixed(2)} ms of processor`);
    const bare = await measureBareDoor(join(folder, 'second-0'), sizes.devices);
    say(`bare door: ${Math.round(bare.rate)} a second, ${bare.cpuMs.toFixed(2)} ms of processor`);
    await on('replace', 'killed', 'devices', Math.ceil(sizes.killed / 2)).then(
      () => {
        throw new Error('the process was to be killed');
      },
      () => undefined,
    );
    const resumed = await on('resume', 'killed');
    say(`resumed after ${Math.round(resumed.resumeMs)} ms`);
    const one = await on('single', 'single');
    const batch = await on('leak', 'leak');
    const many = await on('leak', 'devices');
    const memory: readonly number[] = fleet.memory;
    const third = Math.ceil(memory.length / 3);
    const carried = (part: Part, told: Told): Carried => ({
      devices: sizes[part],
      rate: Math.round(told.rate),
      ratio: round(told.rate / batchRate),
      cpuRatio: round(batchCpuMs / told.cpuMs),
      predictedSeconds: told.predicted.seconds,
      seconds: round(told.seconds),
      predictionRatio: round(told.predicted.seconds / told.seconds),
    });
    return {
      batchDoor: { rate: Math.round(batchRate), cpuMs: round(batchCpuMs) },
      byLines: { ...carried('fleet', fleet), planMs: Math.round(fleet.planMs) },
      byDevices: { ...carried('devices', devices), bareRatio: round(bare.cpuMs / devices.cpuMs) },
      bareDoor: {
        rate: Math.round(bare.rate),
        cpuMs: round(bare.cpuMs),
        cpuRatio: round(batchCpuMs / bare.cpuMs),
      },
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
      compromisedBatch: compromised(batch),
      compromisedMany: compromised(many),
    };
  } finally {
    removeHome(home);
    removeHome(folder);
  }
}

async function measureBareDoor(
  file: string,
  count: number,
): Promise<{ readonly rate: number; readonly cpuMs: number }> {
  const { stdout } = await run(process.execPath, [BARE, file, String(count)]);
  return JSON.parse(stdout);
}

interface Told {
  readonly rate: number;
  readonly cpuMs: number;
  readonly seconds: number;
  readonly predicted: { readonly seconds: number };
}

function compromised(told: Omit<Compromised, 'certificates'> & { readonly devices: number }): Compromised {
  const [p50Ms, p99Ms, lastMs] = [told.p50Ms, told.p99Ms, told.lastMs].map(round);
  return { certificates: told.devices, p50Ms: p50Ms ?? 0, p99Ms: p99Ms ?? 0, lastMs: lastMs ?? 0 };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
