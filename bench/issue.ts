import { cpus } from 'node:os';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { measureMachine, measureRuntime } from './limits.ts';
import { makeLines } from './lines.ts';
import { sendBatches } from './load.ts';
import { median } from './statistics.ts';

const CORES = 2;
const CONNECTIONS = 4;
const LINES = 24_000;
/** Sent first and not counted: a factory runs for hours, and V8 goes on compiling for this many lines. */
const WARM_UP_LINES = 48_000;
const ROUNDS = 5;
const LIMIT_SECONDS = 2;

export interface IssueResult {
  /** Certificates a second through the batch door: HTTPS, parse, check, lint, sign, audited, durable. */
  readonly rate: number;
  /** `1 / (1/verify + 1/sign)` of `openssl speed`, all cores at once. */
  readonly limit: number;
  readonly ratio: number;
  /** The bare loop of this runtime (import from DER, verify, sign), all cores at once. */
  readonly runtimeLimit: number;
  readonly runtimeRatio: number;
  /** Against the loop that imports keys as PEM text, as our code does. */
  readonly fastestImportRatio: number;
  readonly cores: number;
  readonly loadCpuShare: number;
  readonly memoryMiB: number;
}

/**
 * The batch door end to end, against both limits taken right before and after each round: the ratios are taken within a
 * round, and the medians over the rounds, because this kind of machine is noisy.
 */
export async function benchIssue(say: (text: string) => void): Promise<IssueResult> {
  const cores = Math.min(CORES, cpus().length);
  const folder = makeHome();
  const home = makeHome();
  let house: BenchHouse | undefined;
  const rounds: { rate: number; machine: number; der: number; pem: number; load: number; memory: number }[] =
    [];
  try {
    const warmUp = await makeLines(folder, 0, WARM_UP_LINES, CONNECTIONS);
    await command(home, 'init');
    house = await startHouse(home, cores);
    const told = await house.command('token', 'create', '--role', 'factory', '--name', 'bench');
    const token = told.split('\n').at(-1) ?? '';
    await sendBatches(house, token, warmUp);
    for (let round = 0; round < ROUNDS; round += 1) {
      const files = await makeLines(folder, WARM_UP_LINES + round * LINES, LINES, CONNECTIONS);
      const machine = await measureMachine(cores, 1);
      const before = await measureRuntime(cores, LIMIT_SECONDS);
      const { answers, seconds, cpuSeconds } = await sendBatches(house, token, files);
      const memory = house.memoryMiB();
      const after = await measureRuntime(cores, LIMIT_SECONDS);
      const rate = answers / seconds;
      const der = (before.runtime + after.runtime) / 2;
      const pem = (before.runtimeFastestImport + after.runtimeFastestImport) / 2;
      rounds.push({ rate, machine, der, pem, load: cpuSeconds / seconds, memory });
      say(
        `round ${round + 1}: ${Math.round(rate)}/s, machine ${Math.round(machine)}/s, runtime ${Math.round(der)}/s (${(rate / der).toFixed(3)})`,
      );
    }
  } finally {
    await house?.stop();
    removeHome(home);
    removeHome(folder);
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  return {
    rate: Math.round(of(({ rate }) => rate)),
    limit: Math.round(of(({ machine }) => machine)),
    ratio: round3(of(({ rate, machine }) => rate / machine)),
    runtimeLimit: Math.round(of(({ der }) => der)),
    runtimeRatio: round3(of(({ rate, der }) => rate / der)),
    fastestImportRatio: round3(of(({ rate, pem }) => rate / pem)),
    cores,
    loadCpuShare: round3(of(({ load }) => load)),
    memoryMiB: Math.round(Math.max(...rounds.map(({ memory }) => memory))),
  };
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
