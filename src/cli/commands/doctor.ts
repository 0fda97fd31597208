import type { Command } from 'commander';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';

export function doctorCommand(shell: Shell): Command {
  return newCommand(
    'doctor',
    'look at the home: configuration, keys, chains, lists, clock, disk, ledger against record',
    'birthmark doctor --full',
  )
    .option('--full', 'also read all of the ledger and all of the record')
    .addHelpText(
      'after',
      '\nChanges nothing, with a running server or without. Exit codes: 0 nothing failed, 1 something did.',
    )
    .action(async (options: CommonOptions & { readonly full?: boolean }) => {
      const { runDoctor } = await import('../doctor/run-doctor.ts');
      const checks = await runDoctor(homeOf(options), shell.environment, options.full === true);
      if (options.json) for (const check of checks) shell.out(JSON.stringify(check));
      else
        for (const { name, state, detail, todo } of checks)
          shell.out(`${state.padEnd(8)} ${name}: ${detail}${todo === undefined ? '' : `; ${todo}`}`);
      if (checks.some(({ state }) => state === 'failed')) process.exitCode = 1;
    });
}
