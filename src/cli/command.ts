import { Command, InvalidArgumentError, Option } from 'commander';
import { type Home, homeAt } from './home.ts';

/** What the program is given from outside; only `main.ts` touches the process for it. */
export interface Shell {
  readonly environment: NodeJS.ProcessEnv;
  readonly out: (text: string) => void;
  readonly note: (text: string) => void;
}

export interface CommonOptions {
  readonly home: string;
  readonly json?: boolean;
}

/** A command with what every command has: `--home`, `--json`, an example. */
export function newCommand(name: string, description: string, example: string): Command {
  return new Command(name)
    .description(description)
    .addOption(new Option('--home <dir>', 'the home').env('BIRTHMARK_HOME').default('./birthmark-home'))
    .option('--json', 'print JSON, for scripts')
    .addHelpText('after', `\nExample:\n  $ ${example}`);
}

export function homeOf({ home }: CommonOptions): Home {
  return homeAt(home);
}

const DAY_SECONDS = 86_400;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: DAY_SECONDS };

/** Reads seconds from `90d`, `1h`, `30m`, `45s`. */
export function durationUpTo(mostDays: number): (text: string) => number {
  return (text) => {
    const [, amount, unit] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
    if (amount === undefined || unit === undefined)
      throw new InvalidArgumentError('It is a number and s, m, h or d, as in 90d.');
    const seconds = Number(amount) * (UNITS[unit] ?? 1);
    if (seconds <= mostDays * DAY_SECONDS) return seconds;
    throw new InvalidArgumentError(`It is at most ${mostDays}d.`);
  };
}

/** A whole number of at least `least`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
  };
}

/** Collects an option that may be given several times. */
export function repeated(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
